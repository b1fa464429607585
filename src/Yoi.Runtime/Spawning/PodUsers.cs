using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>Processes of this user that have files of a Pod's directory open: the Pod, the keeper of its commands, whoever reads.</summary>
internal static class PodUsers
{
    internal static IEnumerable<int> Of(KnownPod pod) => WithOpen(path => path.StartsWith(pod.Directory + "/", StringComparison.Ordinal));

    /// <summary>
    /// Lets those go on that SIGSTOP holds while they share the life-lock: a keeper ends the commands of a Pod that is gone, and then the lock is
    /// free, but not before somebody lets it.
    /// </summary>
    internal static void Continue(KnownPod pod)
    {
        var file = Path.Combine(pod.Directory, PodFiles.Lock);
        foreach (var pid in WithOpen(path => path == file))
        {
            using var process = PodProcess.Open(pid);
            if (process is { IsHeld: true }) process.Signal(Libc.SigCont);
        }
    }

    private static IEnumerable<int> WithOpen(Func<string, bool> isWanted)
    {
        foreach (var process in Directory.EnumerateDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(process), out var pid) && pid != Environment.ProcessId && HasOpen(process, isWanted)) yield return pid;
    }

    private static bool HasOpen(string process, Func<string, bool> isWanted)
    {
        try
        {
            return Directory.EnumerateFiles(process + "/fd").Any(link => new FileInfo(link).LinkTarget is { } path && isWanted(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // It has ended meanwhile, or is another user's, who cannot open these files.
        }
    }
}
