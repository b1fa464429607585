using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// A control group that was delegated to us, on a machine with one hierarchy, made ready for the groups of commands. The kernel wants processes
/// at the leaves only: if we are alone in it, we go into one below it, and so does all that we start. Then what counts processes and
/// memory is switched on. Nobody else is moved, and a group that is not ours is left as it is.
/// </summary>
internal static class DelegatedGroup
{
    private const string Subgroup = "yoi";

    private static readonly string[] Wanted = ["pids", "memory"];
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>True if the group's manager has marked it as given away.</summary>
    internal static bool SaysSo(string directory) => Libc.Attribute(directory, "user.delegate") == "1";

    /// <summary>Switches on what counts, in the group right above if that was delegated; every process of ours does so before it looks for groups.</summary>
    internal static void SwitchOnAbove(string own, string mounts)
    {
        if (GroupRoot.OwnInOne(own, mounts) is not var (directory, top) || GroupRoot.DelegatedAbove(directory, top, SaysSo) is not { } above) return;
        try
        {
            SwitchOn(above);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not ours after all, or somebody is in it.
        }
    }

    /// <summary>
    /// Goes below a delegated group that we are alone in. Of no effect a second time, where nothing was delegated, and where each controller has its own
    /// hierarchy.
    /// </summary>
    internal static async Task MakeReadyAsync(TimeProvider time, CancellationToken ct)
    {
        try
        {
            if (GroupRoot.OwnInOne(File.ReadAllText("/proc/self/cgroup"), File.ReadAllText("/proc/self/mountinfo")) is not var (directory, top)) return;
            if (GroupRoot.DelegatedAbove(directory, top, SaysSo) is not null || Off(directory).Count == 0 || !IsAlone(directory) || !(SaysSo(directory) || await ManagerSaysSoAsync(directory, time, ct))) return;
            Directory.CreateDirectory($"{directory}/{Subgroup}");
            Write($"{directory}/{Subgroup}/cgroup.procs", "0");
            SwitchOn(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not ours after all, or somebody came into it: each process of a command is held for itself.
        }
    }

    private static void SwitchOn(string directory)
    {
        foreach (var controller in Off(directory)) Write(directory + "/cgroup.subtree_control", "+" + controller);
    }

    /// <summary>What could be on there and is not.</summary>
    private static List<string> Off(string directory) =>
        [.. Wanted.Intersect(Words(directory + "/cgroup.controllers")).Except(Words(directory + "/cgroup.subtree_control"))];

    private static string[] Words(string path) => File.Exists(path) ? File.ReadAllText(path).Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries) : [];

    private static bool IsAlone(string directory) => Words(directory + "/cgroup.procs") is [var only] && only == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    /// <summary>Managers of users leave no mark on what they delegate: systemd is asked.</summary>
    private static async Task<bool> ManagerSaysSoAsync(string directory, TimeProvider time, CancellationToken ct)
    {
        if (!directory.Contains(string.Create(CultureInfo.InvariantCulture, $"/user@{Libc.Geteuid()}.service/"), StringComparison.Ordinal)) return false;
        using var limit = new CancellationTokenSource(AnswerLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            using var asked = Process.Start(new ProcessStartInfo("systemctl", ["--user", "show", "--property=Delegate", "--value", "--", Path.GetFileName(directory)])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            try
            {
                asked.StandardInput.Close();
                var said = await asked.StandardOutput.ReadToEndAsync(either.Token);
                await asked.WaitForExitAsync(either.Token);
                return asked.ExitCode == 0 && said.Trim() == "yes";
            }
            finally
            {
                if (!asked.HasExited) asked.Kill();
            }
        }
        catch (Exception e) when (e is Win32Exception || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return false; // There is no systemctl, or no answer.
        }
    }

    private static void Write(string path, string text)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(file, System.Text.Encoding.ASCII.GetBytes(text), 0);
    }
}
