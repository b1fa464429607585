using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>Where a spelled path leads.</summary>
/// <param name="Path">Absolute, without links and dots; with the names that do not exist yet.</param>
/// <param name="Error">0 if it exists, else why the walk ended.</param>
/// <param name="Existing">The part that exists.</param>
/// <param name="Creatable">True if all that is missing are plain names.</param>
/// <param name="AsDirectory">The spelling ends with a slash or a dot.</param>
internal sealed record Place(string Path, int Error, string Existing, bool Creatable, bool AsDirectory)
{
    internal bool Exists => Error == 0;
}

/// <summary>
/// Translates a spelling into the path that the kernel means, one name at a time, on handles: <c>..</c> is taken where the kernel is, a
/// link is followed wherever it leads. This is a translation and no check: what is opened is opened anew, and judged then.
/// </summary>
internal static class PathWalk
{
    internal static Place Follow(ScopePolicy policy, string absolute)
    {
        var pending = new Stack<string>();
        Push(pending, absolute);
        var asDirectory = absolute.EndsWith('/') || absolute.EndsWith("/.", StringComparison.Ordinal) || absolute.EndsWith("/..", StringComparison.Ordinal);
        var here = Door.Slash;
        var links = 0;
        try
        {
            while (pending.TryPop(out var name))
            {
                if (name == "..") RequireKnown(policy, here, absolute);
                var next = name == ".."
                    ? Libc.TryOpenAt(here, "..\0"u8, OpenFlags.Path | OpenFlags.Directory | OpenFlags.CloseOnExec, 0, out var error)
                    : Door.Look(here, name, out error);
                if (next is null) return End(here, name, pending, error, asDirectory);
                if (Door.StatusOf(next).IsLink)
                {
                    using (next)
                    {
                        if (Door.IsProcess(next)) throw Refusal.Process(policy, absolute);
                        if (++links > Door.MostLinks) return End(here, name, pending, Errno.Loop, asDirectory);
                        var target = Door.TargetOf(next);
                        Push(pending, target);
                        if (target.StartsWith('/')) Step(ref here, Door.Slash);
                    }
                }
                else Step(ref here, next);
            }
            if (asDirectory && !Door.StatusOf(here).IsDirectory) return new(Door.PathOf(here), Errno.NotDir, Door.PathOf(here), false, true);
            return new(Door.PathOf(here), 0, Door.PathOf(here), false, asDirectory);
        }
        finally
        {
            Step(ref here, Door.Slash);
        }
    }

    private static void Step(ref SafeFileHandle here, SafeFileHandle next)
    {
        if (here != Door.Slash) here.Dispose();
        here = next;
    }

    /// <summary>The walk cannot go on; the rest of the names are as they were written.</summary>
    private static Place End(SafeFileHandle here, string name, Stack<string> pending, int error, bool asDirectory)
    {
        var existing = Door.PathOf(here);
        var names = pending.Prepend(name).ToList();
        var plain = names.TakeWhile(part => part != "..").ToList();
        return new(plain.Aggregate(existing, ScopePath.Join), error, existing, error == Errno.NoEnt && plain.Count == names.Count, asDirectory);
    }

    /// <summary>Stepping out of a directory would tell that it exists: only where the scope lets one look.</summary>
    private static void RequireKnown(ScopePolicy policy, SafeFileHandle here, string asked)
    {
        var path = Door.PathOf(here);
        if (!Refusal.MayPass(policy, path)) throw Refusal.Of(policy, path, Access.Read, asked);
    }

    private static void Push(Stack<string> pending, string path)
    {
        foreach (var name in path.Split('/').AsEnumerable().Reverse())
            if (name is not ("" or ".")) pending.Push(name);
    }
}
