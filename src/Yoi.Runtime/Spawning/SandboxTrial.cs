using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>One thing that the sandbox was tried on.</summary>
internal sealed record SandboxFinding(string What, bool Holds, string Detail);

/// <summary>
/// Proves a level on this machine: one real command on a scratch scope does what is allowed and attempts what is not. The same code
/// starts it that starts every command.
/// </summary>
internal static class SandboxTrial
{
    /// <summary>What the names of its temporary directories begin with.</summary>
    internal const string Scratch = "yoi-trial-";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    // Each attempt is one line: its name, then ok or what happened. What must work comes first: else a sandbox in which nothing works would pass.
    private const string AtEveryLevel = """
        try() { if eval "$2" >/dev/null 2>&1; then echo "$1=$3"; else echo "$1=$4"; fi; }
        try 'programs run and the scope can be written' 'echo x > in/made && cat in/open && /bin/ls /usr && echo x > "$HOME/f" && echo x > "$TMPDIR/f"' ok 'not even what is allowed works'
        try 'nothing outside the scope is written' 'echo x > "$OUT/f" || echo x > "$OUT/new" || rm -f "$OUT/f"; [ -e "$OUT/new" ]' 'a file outside was written' ok
        try 'nothing outside the scope is read' 'cat "$OUT/f" || ls "$OUT" || ls "$STATE" || cat /etc/shadow' 'it can be read' ok
        try 'read-only parts are not written' 'echo x > "$KEPT/f" || : >> "$KEPT/f" || mv "$KEPT/f" in/f' 'it was written' ok
        try 'processes of the host are not signalled' 'kill -0 "$POD"' 'one can be' ok
        try 'processes of the host are not looked into' 'cat "/proc/$POD/environ" || ls "/proc/$POD/root/" || ls -l "/proc/$POD/fd/1" || cat "/proc/$POD/maps"' 'one can be' ok
        try 'nothing of /proc/sys is written' ': >> /proc/sys/kernel/core_pattern' 'it can be opened for writing' ok
        while read -r name value; do case $name in
          CapEff:|CapPrm:|CapInh:|CapAmb:) caps=$caps$value;; NoNewPrivs:) nnp=$value;; Seccomp:) sec=$value;; esac; done < /proc/self/status
        try 'no capabilities and no new privileges' '[[ $caps =~ ^0+$ && $nnp = 1 ]]' ok "$caps $nnp"
        try 'system calls are filtered' '[ "$sec" = 2 ]' ok "$sec"

        """;

    private const string AtKernel = """
        try 'what is not in the scope does not exist' '[ -e "$OUT" ] || [ -e "$STATE" ] || [ -e /etc/shadow ] || [ -e "/proc/$POD" ]' 'it can be seen' ok
        try 'denied parts are masked' 'cat in/deep/secret/f || ls in/deep/secret' 'a denied file was read' ok
        try 'no rename gets around a mask' 'mv in/deep in/other' 'a directory above a mask was renamed' ok
        try 'no network' '! grep -qv -e "^ *lo:" -e "|" /proc/net/dev' ok 'there is more than a loopback'

        """;

    private const string AtPartial = """
        try 'no network' '(LC_ALL=C; exec 3<>/dev/tcp/127.0.0.1/9) 2>&1 | grep -q "family not supported"' ok 'a socket can be made'

        """;

    // What it leaves must not outlive it.
    private const string Left = """
        (setsid sleep 600 >/dev/null 2>&1 & echo "left=$!")
        """;

    /// <summary>All findings; the first that does not hold says why the level cannot be had.</summary>
    /// <param name="keeper">The program of the keeper, for level <c>partial</c>.</param>
    internal static async Task<IReadOnlyList<SandboxFinding>> RunAsync(
        string level, PodProgram keeper, YoiDirectories directories, Func<string, string?> environment, TimeProvider time, CancellationToken ct)
    {
        string? scratch = null;
        var what = level == SandboxLevel.Kernel ? "bubblewrap" : "Landlock";
        try
        {
            var there = level == SandboxLevel.Kernel ? Bubblewrap.Find() : Landlock.Find();
            scratch = ScopeRoots.Resolve(Directory.CreateTempSubdirectory(Scratch).FullName, "/");
            await using var launcher = new CommandLauncher(level, () => keeper, null, environment, time);
            return [new(what, true, there), .. await TryAsync(launcher, scratch, directories, environment, time, ct)];
        }
        catch (Exception e) when (e is SandboxException or ScopeException or IOException or TimeoutException or UnauthorizedAccessException)
        {
            return [new(what, false, e.Message)];
        }
        finally
        {
            if (scratch is not null) Directory.Delete(scratch, recursive: true);
        }
    }

    private static async Task<IEnumerable<SandboxFinding>> TryAsync(
        CommandLauncher launcher, string scratch, YoiDirectories directories, Func<string, string?> environment, TimeProvider time, CancellationToken ct)
    {
        foreach (var path in new[] { "/w/in/deep/secret", "/kept", "/out" }) Directory.CreateDirectory(scratch + path);
        foreach (var path in new[] { "/w/in/open", "/w/in/deep/secret/f", "/kept/f", "/out/f" }) await File.WriteAllTextAsync(scratch + path, "canary", ct);
        var home = PlatformSet.HomeOf(environment);
        var kernel = launcher.Level == SandboxLevel.Kernel;
        var scope = new ScopePolicy(new(
            [new(scratch + "/w", Permission.Write), new(scratch + "/kept", Permission.Read)], kernel ? [new(scratch + "/w/in/deep/secret", Permission.Read)] : []), [], 0);
        var policy = SandboxPolicy.Of(scope, PlatformSet.Find(home, CommandGate.PathOf(environment), network: false), directories, home, network: false);
        var places = PrivatePlaces.Make(scratch, launcher.Level, policy.Platform, home);
        var script = string.Create(
            CultureInfo.InvariantCulture, $"OUT={Quoted(scratch + "/out")} KEPT={Quoted(scratch + "/kept")} STATE={Quoted(directories.State)} POD={Environment.ProcessId}\n")
            + AtEveryLevel + (kernel ? AtKernel : AtPartial);
        await using var running = await launcher.StartAsync(
            new(scratch, policy, launcher.Look(policy), places, new(), scratch + "/w", scratch + "/w", script + Left, places.Output + "/trial.log"), ct);
        running.Go();
        await running.Ended.WaitAsync(Limit, time, ct);
        var said = running.Output.Text(0, 1 << 16);
        var lines = said.Split('\n').Select(line => line.Split('=', 2)).Where(parts => parts.Length == 2).ToList();
        List<SandboxFinding> findings = [.. lines.Where(parts => parts[0] != "left").Select(parts => new SandboxFinding(parts[0], parts[1] == "ok", parts[1]))];
        if (findings.Count != script.Split('\n').Count(line => line.StartsWith("try '", StringComparison.Ordinal)) || findings.Count == lines.Count)
            return [new("the trial", false, "it did not come to its end: " + said[..Math.Min(said.Length, 500)].Trim())];
        return [.. findings, Limits(), Outside(scratch), .. kernel ? [] : new[] { NothingLeft(lines.Last(parts => parts[0] == "left")[1]) }];
    }

    private static SandboxFinding Outside(string scratch)
    {
        var untouched = File.ReadAllText(scratch + "/out/f") == "canary" && Directory.GetFileSystemEntries(scratch + "/out").Length == 1 && File.ReadAllText(scratch + "/kept/f") == "canary";
        return new("seen from outside", untouched && File.Exists(scratch + "/w/in/made"), untouched ? "ok" : "a file outside was changed");
    }

    /// <summary>Its pid is the host's, and whoever would have it now, it is not the daemon that is asked about.</summary>
    private static SandboxFinding NothingLeft(string pid)
    {
        var left = Directory.Exists("/proc/" + pid) && File.ReadAllText($"/proc/{pid}/cmdline") == "sleep\0600\0";
        return new("what a command started ends with it", !left, left ? "a daemon was left" : "ok");
    }

    /// <summary>No hole in the scope, whatever it says: what holds is said.</summary>
    private static SandboxFinding Limits()
    {
        var (processes, memory) = CommandGroup.Counts;
        var number = processes ? "processes of a command are held as a whole" : Libc.Geteuid() == 0 ? "the kernel does not hold root to a number of processes" : "processes are held by user";
        return new("limits of commands", true, $"{number}, memory {(memory ? "as a whole" : "by process")}{(processes && memory ? "" : " (no control group of its own can be made)")}");
    }

    private static string Quoted(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
