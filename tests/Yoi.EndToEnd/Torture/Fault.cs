namespace Yoi.EndToEnd.Torture;

/// <summary>When a fault strikes: while Pods work, while they are brought back, while they are stopped, or while their files are removed.</summary>
internal enum Phase { Work, Restore, Stop, Remove }

/// <summary>Something bad that happens once in a scenario.</summary>
internal abstract record Fault
{
    private Fault() { }

    /// <summary>A failpoint in the code; see Failpoint.cs.</summary>
    /// <param name="Nth">The pass at which it fails.</param>
    internal sealed record At(string Point, string Action, int Nth, Phase Phase) : Fault
    {
        internal string Armed => $"{Point}#{Nth}:{Action}";
        public override string ToString() => $"{Armed} ({Phase})";
    }

    /// <summary>kill -9, or SIGSTOP, of any process of the tree, when the model server has been asked so often.</summary>
    /// <param name="Signal"><c>kill</c> or <c>stop</c>.</param>
    internal sealed record Strike(string Signal, int AtRequest) : Fault
    {
        public override string ToString() => $"{Signal} at request {AtRequest}";
    }

    /// <summary>The state is on a small disk of its own, which is full from then on until all rest; see <see cref="SmallDisk"/>.</summary>
    internal sealed record Fill(int AtRequest) : Fault
    {
        public override string ToString() => $"fill at request {AtRequest}";
    }
}

/// <summary>One scenario: a tree of Pods that follows from the seed, and what happens to it. A second fault strikes while the first is mended.</summary>
internal sealed record Scenario(int Seed, IReadOnlyList<Fault> Faults)
{
    public override string ToString() => $"seed {Seed}: {(Faults.Count == 0 ? "no fault" : string.Join(", then ", Faults))}";
}
