using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>One thing that the sandbox was tried on.</summary>
internal sealed record SandboxFinding(string What, bool Holds, string Detail);

/// <summary>
/// Proves level <c>kernel</c> on this machine: one real command on a scratch scope does what is allowed and attempts what is not. The same code
/// starts it that starts every command.
/// </summary>
internal static class SandboxTrial
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    // Each attempt is one line: its name, then ok or what happened. What must work comes first: else a sandbox in which nothing works would pass.
    private const string Script = """
        try() { if eval "$2" >/dev/null 2>&1; then echo "$1=$3"; else echo "$1=$4"; fi; }
        try 'programs run and the scope can be written' 'echo x > in/made && cat in/open && /bin/ls / && echo x > "$HOME/f" && echo x > "$TMPDIR/f"' ok 'not even what is allowed works'
        try 'nothing outside the scope is written' 'echo x > "$OUT/f"' 'a file outside was written' ok
        try 'what is not in the scope does not exist' '[ -e "$OUT" ] || [ -e "$STATE" ] || [ -e /etc/shadow ]' 'it can be seen' ok
        try 'denied parts are masked' 'cat in/deep/secret/f || ls in/deep/secret' 'a denied file was read' ok
        try 'read-only parts are not written' 'echo x > in/kept/f' 'it was written' ok
        try 'no rename gets around a mask' 'mv in/deep in/other' 'a directory above a mask was renamed' ok
        try 'processes of the host are not seen' 'kill -0 "$POD" || [ -e "/proc/$POD" ]' 'one was seen' ok
        try 'nothing of /proc/sys is written' ': >> /proc/sys/kernel/core_pattern' 'it can be opened for writing' ok
        while read -r name value; do case $name in
          CapEff:|CapPrm:|CapBnd:|CapInh:|CapAmb:) caps=$caps$value;; NoNewPrivs:) nnp=$value;; Seccomp:) sec=$value;; esac; done < /proc/self/status
        try 'no capabilities and no new privileges' '[[ $caps =~ ^0+$ && $nnp = 1 ]]' ok "$caps $nnp"
        try 'system calls are filtered' '[ "$sec" = 2 ]' ok "$sec"
        try 'no network' '! grep -qv -e "^ *lo:" -e "|" /proc/net/dev' ok 'there is more than a loopback'
        """;

    /// <summary>All findings; the first that does not hold says why the level cannot be had.</summary>
    internal static async Task<IReadOnlyList<SandboxFinding>> RunAsync(YoiDirectories directories, Func<string, string?> environment, TimeProvider time, CancellationToken ct)
    {
        string? scratch = null;
        try
        {
            var program = Bubblewrap.Find();
            scratch = ScopeRoots.Resolve(Directory.CreateTempSubdirectory("yoi-trial-").FullName, "/");
            return [new("bubblewrap", true, program), .. await TryAsync(program, scratch, directories, environment, time, ct)];
        }
        catch (Exception e) when (e is SandboxException or ScopeException or IOException or TimeoutException or UnauthorizedAccessException)
        {
            return [new("bubblewrap", false, e.Message)];
        }
        finally
        {
            if (scratch is not null) Directory.Delete(scratch, recursive: true);
        }
    }

    private static async Task<IEnumerable<SandboxFinding>> TryAsync(
        string program, string scratch, YoiDirectories directories, Func<string, string?> environment, TimeProvider time, CancellationToken ct)
    {
        foreach (var path in new[] { "/w/in/deep/secret", "/w/in/kept", "/out" }) Directory.CreateDirectory(scratch + path);
        foreach (var path in new[] { "/w/in/open", "/w/in/deep/secret/f", "/w/in/kept/f", "/out/f" }) await File.WriteAllTextAsync(scratch + path, "canary", ct);
        var home = PlatformSet.HomeOf(environment);
        var scope = new ScopePolicy(
            new([new(scratch + "/w", Permission.Write)], [new(scratch + "/w/in/deep/secret", Permission.Read), new(scratch + "/w/in/kept", Permission.Write)]), [], 0);
        var policy = SandboxPolicy.Of(scope, PlatformSet.Find(home, CommandGate.PathOf(environment), network: false), directories, home, network: false);
        var places = PrivatePlaces.Make(scratch, policy.Platform, home);
        var variables = string.Create(CultureInfo.InvariantCulture, $"OUT={Quoted(scratch + "/out")} STATE={Quoted(directories.State)} POD={Environment.ProcessId}\n");
        var command = Bubblewrap.Compose(program, policy, SandboxView.Of(policy, []), places, new(), scratch + "/w", variables + Script, environment);
        await using var running = await BubblewrapHold.StartAsync(scratch, command, places.Output + "/trial.log", new(OutputMb: 1), time, ct);
        running.Go();
        await running.Ended.WaitAsync(Limit, time, ct);
        var findings = running.Output.Text(0, 1 << 16).Split('\n').Select(line => line.Split('=', 2)).Where(parts => parts.Length == 2)
            .Select(parts => new SandboxFinding(parts[0], parts[1] == "ok", parts[1])).ToList();
        if (findings.Count != Script.Split('\n').Count(line => line.StartsWith("try '", StringComparison.Ordinal)))
            return [new("the trial", false, "it did not come to its end: " + running.Output.Text(0, 500).Trim())];
        var outside = await File.ReadAllTextAsync(scratch + "/out/f", ct) == "canary" && Directory.GetFileSystemEntries(scratch + "/out").Length == 1;
        return [.. findings, Limits(), new("seen from outside", outside && File.Exists(scratch + "/w/in/made"), outside ? "ok" : "a file outside was changed")];
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
