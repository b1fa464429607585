using Yoi.Protocol;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// What a Pod's journal says of how it was launched and what it held last: all that is needed to serve it again. No configuration
/// is in it but what was in force then, and no key, only where the key comes from.
/// </summary>
/// <param name="Process">The process that served it last; null if it died before it had begun.</param>
/// <param name="Scope">Its rules as they were last: those it was launched with, less what was taken away since.</param>
/// <param name="End">The recorded end; null if none is recorded.</param>
internal sealed record LaunchRecord(Entry.PodCreated Created, Entry.ProcessStarted? Process, ScopeRules Scope, Entry.PodEnded? End)
{
    /// <summary>Reads it from the journal, however long that is; null if it does not say who the Pod is.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static LaunchRecord? Read(KnownPod pod)
    {
        LaunchRecord? found = null;
        foreach (var record in pod.Journal.Each(typeof(Entry.PodCreated), typeof(Entry.ProcessStarted), typeof(Entry.ScopeChanged), typeof(Entry.PodEnded)))
        {
            if (record.Entry is Entry.PodCreated created) found ??= new LaunchRecord(created, null, created.Scope, null);
            found = record.Entry switch
            {
                Entry.ProcessStarted started => found is null ? null : found with { Process = started, End = null },
                // A Pod without a row has no access for a moment; that is not what it was given.
                Entry.ScopeChanged { Scope.Allow.Count: > 0 } changed => found is null ? null : found with { Scope = changed.Scope },
                Entry.PodEnded ended => found is null ? null : found with { End = ended },
                _ => found,
            };
        }
        return found;
    }

    /// <summary>True if somebody ended it by asking for that: it does not come back with all others, only by its own name.</summary>
    internal bool EndedOnPurpose => IsOnPurpose(End);

    internal static bool IsOnPurpose(Entry.PodEnded? end) => end is { Reason: PodEnd.Stopped or PodEnd.Exited } or { Reason: PodEnd.Killed, By: not null };

    /// <summary>The document that serves it again, in the same journal.</summary>
    internal LaunchDocument Document(YoiDirectories directories, Restoration how) => new(
        LaunchDocument.CurrentVersion, Created.PodId, Created.Name, Created.Cwd, Created.Model, Scope, Grant: null,
        Created.Spawner is { } spawner ? spawner with { Socket = directories.Socket(spawner.PodId) } : null,
        Created.RootId ?? Created.PodId, Created.Depth, Created.Role, Created.Limits, Created.KeySource, directories, Created.Timing ?? new ModelTiming(),
        Process?.SandboxLevel ?? "tools-only", Created.Network, Created.PlatformSet, how, Created.Commands);
}
