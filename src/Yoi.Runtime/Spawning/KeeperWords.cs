namespace Yoi.Runtime.Spawning;

/// <summary>What Pod and keeper say to each other: a word, the number of a command, and sometimes more.</summary>
internal static class KeeperWords
{
    /// <summary>To the keeper: <c>start N</c> with the files of <see cref="KeptTree"/>, <c>end N</c>.</summary>
    internal const string Start = "start", End = "end";

    /// <summary>From it: <c>started N PID</c>, <c>failed N WHY</c>, <c>ending N</c>, <c>ended N EXIT</c>.</summary>
    internal const string Started = "started", Failed = "failed", Ending = "ending", Ended = "ended";
}
