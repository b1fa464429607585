using System.CommandLine;
using System.Runtime.InteropServices;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi doctor</c>: what is there and what is missing. Tries things out where it can; shows where keys come from, never a key.</summary>
internal static class DoctorCommand
{
    internal static Command Create(Surroundings s)
    {
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("doctor", "Check this machine, the directories and the settings.") { json };
        command.SetAction(async (parsed, ct) =>
        {
            var checks = await CheckAsync(s, ct);
            if (parsed.GetValue(json)) s.Screen.Json(checks, TerminalJson.Default.IReadOnlyListCheckRow);
            else Listings.Checks(s.Screen, checks);
            return checks.Any(check => check.Status == "failed") ? ExitCode.RunFailed : ExitCode.Ok;
        });
        return command;
    }

    private static async Task<IReadOnlyList<CheckRow>> CheckAsync(Surroundings s, CancellationToken ct) =>
    [
        new("platform", "ok", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.OSArchitecture}, {RuntimeInformation.FrameworkDescription}"),
        Openat2(),
        .. Directories(s),
        Locks(s),
        Table(s),
        Disk(s),
        .. await SandboxAsync(s, ct),
        .. await PodAsync(s, ct),
        .. await ModelAsync(s, ct),
    ];

    /// <summary>Every line is an attempt that was made just now by a command in a sandbox.</summary>
    private static async Task<IEnumerable<CheckRow>> SandboxAsync(Surroundings s, CancellationToken ct)
    {
        List<CheckRow> rows = [];
        List<string> had = [];
        foreach (var level in new[] { SandboxLevel.Kernel, SandboxLevel.Partial })
        {
            var findings = await SandboxProof.TryAsync(level, s, ct);
            if (findings.All(finding => finding.Holds)) had.Add(level);
            rows.AddRange(findings.Select(finding => new CheckRow(
                $"sandbox {level}", finding.Holds ? "ok" : "warning", finding.Holds && finding.Detail == "ok" ? finding.What : $"{finding.What}: {finding.Detail}")));
        }
        var chosen = had.FirstOrDefault() switch
        {
            SandboxLevel.Kernel => new CheckRow("sandbox", "ok", "level kernel: Bash is held by bubblewrap and a filter of system calls"),
            SandboxLevel.Partial => new("sandbox", "warning", "level partial: Bash is held by Landlock and a filter of system calls, where a scope has no holes; level kernel lacks what is said below"),
            _ => new("sandbox", "warning", "level tools-only: no Bash, because of what is missing below"),
        };
        return [chosen, .. rows];
    }

    /// <summary>Of a Pod that would be started here now, with the settings that hold here: what a start would warn of, and what its level leaves open.</summary>
    private static async Task<IEnumerable<CheckRow>> PodAsync(Surroundings s, CancellationToken ct)
    {
        LaunchPlan plan;
        try
        {
            plan = await LaunchPlan.ComposeAsync(s, new(null, null, null, null, [], [], [], [], null, null, null, null, null, null), ScopeExplanation.NoModel, ct);
        }
        catch (ConfigException)
        {
            return [new("pod here", "failed", "none can be started: the settings have an error")]; // Which one is in the rows of the settings.
        }
        catch (CommandException e)
        {
            return [new("pod here", "failed", $"none can be started: {e.Message}")];
        }
        var (level, network) = (plan.Document.SandboxLevel, plan.Document.Network);
        return
        [
            new("pod here", "ok", $"would have level {level}, {(network ? "the network" : "no network")}, and could write {Written(plan.Document.Scope)}; `yoi run --explain-scope` says all"),
            .. plan.Warnings.Select(warning => new CheckRow("pod here", "warning", warning)),
            .. PodReach.NotHeld(level, network).Select(line => new CheckRow("not held", "open", line)),
        ];
    }

    private static string Written(ScopeRules scope) =>
        scope.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => PathText.Shown(rule.Target)).ToList() is { Count: > 0 } paths ? string.Join(", ", paths) : "nothing";

    private static CheckRow Table(Surroundings s)
    {
        try
        {
            return new("scope table", "ok", $"{Amounts.Count(s.Table.Read().Pods.Count, "Pod")} in {s.Directories.ScopeTable}");
        }
        catch (ScopeException e)
        {
            return new("scope table", "failed", e.Message);
        }
    }

    private static CheckRow Disk(Surroundings s)
    {
        const long little = 256L << 20;
        var free = new DriveInfo(Directory.Exists(s.Directories.State) ? s.Directories.State : System.IO.Path.GetTempPath()).AvailableFreeSpace;
        var text = $"{Amounts.Count(s.Registry.All().Count, "Pod")} with {Amounts.Bytes(Retention.Bytes(s.Directories.Pods))}, {Amounts.Bytes(free)} free";
        return free < little ? new("disk", "warning", text + "; runs end with disk_error when it is full: `yoi gc` removes what ended long ago") : new("disk", "ok", text);
    }

    private static CheckRow Openat2()
    {
        var version = Environment.OSVersion.Version;
        return version >= new Version(5, 6)
            ? new("openat2", "ok", $"kernel {version} has it: file tools can hold paths beneath their scope")
            : new("openat2", "failed", $"kernel {version} has no openat2; file tools need Linux 5.6 or newer");
    }

    private static IEnumerable<CheckRow> Directories(Surroundings s)
    {
        foreach (var (name, path) in new[] { ("state", s.Directories.State), ("runtime", s.Directories.Runtime), ("settings", s.Directories.Config) })
        {
            if (!Directory.Exists(path))
            {
                yield return new CheckRow(name, "ok", $"{path} is not there yet; it is made when it is needed");
                continue;
            }
            var others = File.GetUnixFileMode(path) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            yield return others == 0 || name == "settings"
                ? new CheckRow(name, "ok", path)
                : new CheckRow(name, "failed", $"{path} is open to others ({others}); `chmod 700 {path}` closes it");
        }
    }

    private static CheckRow Locks(Surroundings s)
    {
        var probe = Directory.Exists(s.Directories.State) ? s.Directories.State : System.IO.Path.GetTempPath();
        try
        {
            return PodLock.SelfTest(probe) is { } problem
                ? new("locks", "failed", $"{probe}: {problem}")
                : new("locks", "ok", $"another process sees our life-locks on the file system of {probe}");
        }
        catch (IOException e)
        {
            return new("locks", "failed", $"{probe}: {e.Message}");
        }
    }

    private static async Task<IEnumerable<CheckRow>> ModelAsync(Surroundings s, CancellationToken ct)
    {
        Settings settings;
        try
        {
            settings = Settings.Load(s.Directories, s.Cwd, s.Home);
        }
        catch (ConfigException e)
        {
            return e.Message.Split('\n').Select(line => new CheckRow("settings", "failed", line));
        }
        var files = new CheckRow("settings", "ok", settings.Files.Count == 0 ? "no yoi.jsonc; everything is at its default" : string.Join(", ", settings.Files));
        try
        {
            var model = await new ModelResolver(settings, s.Environment, s.Home, s.Cwd, s.Time).ResolveAsync(null, null, ct);
            var address = model.Choice.BaseUrl is { } url ? $" at {url}" : "";
            return [files, new("model", "ok", $"{model.Name}{address}; {EntryText.KeyText(model.KeySource)}; not asked now, `yoi run -p hello` does"), .. model.Warnings.Select(warning => new CheckRow("model", "warning", warning))];
        }
        catch (ModelChoiceException e)
        {
            return [files, new("model", "warning", e.Message)];
        }
    }
}
