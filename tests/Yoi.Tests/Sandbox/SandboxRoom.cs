using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Shell;
using Yoi.Shared;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// A Pod's shell with a real scope table, journal and bubblewrap: W may be written, O lies outside with a canary tree, the user's home has
/// secrets. Everything is below one temporary root.
/// </summary>
internal sealed class SandboxRoom : IAsyncDisposable
{
    private readonly PodLock _lock;
    private string _before;

    private readonly List<CommandLauncher> _launchers = [];

    private SandboxRoom(string root, LaunchDocument document, PodLock podLock, ScopeTable table, LiveScope scope, JournalWriter journal, Dictionary<string, string> environment)
    {
        (Root, Document, _lock, Table, Scope, Journal, Environment) = (root, document, podLock, table, scope, journal, environment);
        Shell = NewShell();
        _before = Outside();
    }

    internal string Root { get; }
    internal string W => Root + "/W";
    internal string O => Root + "/O";
    internal string Level => Document.SandboxLevel;
    internal PrivatePlaces Places => PrivatePlaces.Of(PodDirectory, Level);
    internal string Home => Root + "/home";
    internal LaunchDocument Document { get; }
    internal PlatformSet Platform => PlatformOf(Document, Home);
    internal ScopeTable Table { get; }
    internal LiveScope Scope { get; }
    internal JournalWriter Journal { get; }
    internal RunningCommands Running { get; } = new();
    internal Dictionary<string, string> Environment { get; }
    internal Shell Shell { get; private set; }
    internal string PodDirectory => Document.Directories.Pod(Document.Name, Document.PodId);

    internal static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static PlatformSet PlatformOf(LaunchDocument document, string home) => PlatformSet.Find(home, "/usr/local/bin:/usr/bin:/bin", document.Network);

    internal static Task<SandboxRoom> MakeAsync(string[]? rules = null, bool network = false, Action<string>? scene = null, CommandLimits? limits = null) =>
        MakeAsync("kernel", rules, network, scene, limits);

    /// <summary>Where the machine has not what the level needs; where the whole check runs, that is a failure.</summary>
    internal static void SkipWithout(string level)
    {
        if (System.Environment.GetEnvironmentVariable("CI") is not null) return;
        if (level == "kernel" && !File.Exists("/usr/bin/bwrap")) Assert.Skip("needs bubblewrap: `apt-get install bubblewrap`");
        if (level == "partial" && Landlock.WhyNot(Libc.LandlockVersion()) is { } why) Assert.Skip("needs Landlock: " + why);
        Needs.Programs("git", "/usr/bin/python3"); // What many commands of these tests are made of.
    }

    /// <param name="level"><c>kernel</c> or <c>partial</c>.</param>
    /// <param name="rules">As in the journal, below the root: <c>write:/W</c>, <c>-read:/W/secret</c>; default: write W.</param>
    /// <param name="scene">Makes files before the scope is taken.</param>
    /// <param name="unguarded">As with <c>built_in_denies: false</c>.</param>
    internal static async Task<SandboxRoom> MakeAsync(string level, string[]? rules = null, bool network = false, Action<string>? scene = null, CommandLimits? limits = null, bool unguarded = false)
    {
        SkipWithout(level);
        var root = ScopeRoots.Resolve(System.IO.Directory.CreateTempSubdirectory("yoi-sandbox-").FullName, "/");
        foreach (var path in new[] { "/W", "/O/d", "/home/.ssh" }) System.IO.Directory.CreateDirectory(root + path);
        File.WriteAllText(root + "/W/f", "inside\n");
        File.WriteAllText(root + "/O/f", FileRoom.Canary);
        File.WriteAllText(root + "/O/d/f", FileRoom.Canary);
        File.WriteAllText(root + "/home/.ssh/id", FileRoom.Canary);
        scene?.Invoke(root);
        var directories = YoiDirectories.Find(name => name == "YOI_HOME" ? root + "/yoi" : null, 0);
        ScopeRules scope = new(
            [.. (rules ?? ["write:/W"]).Where(rule => rule[0] != '-').Select(rule => Rule(rule, root))],
            [.. (rules ?? []).Where(rule => rule[0] == '-').Select(rule => Rule(rule[1..], root))], unguarded);
        var document = new LaunchDocument(
            LaunchDocument.CurrentVersion, PodName.NewId(TimeProvider.System), "pod", root + "/W", new ModelChoice("scripted", "scripted"), scope, null, null, "root", 0,
            null, new PodLimits(), "none", directories, new ModelTiming(), level, network, Commands: limits);
        var table = new ScopeTable(directories, TimeProvider.System);
        table.Open();
        var pod = directories.Pod(document.Name, document.PodId);
        var podLock = PodLock.TryTake(pod)!;
        await table.AcquireAsync(new TableRow(document.PodId, document.Name, pod, null, document.PodId, 0, false, 0, scope, document.Limits, System.Environment.ProcessId), Ct);
        var journal = JournalWriter.Open(pod, podLock, [], TimeProvider.System);
        await journal.AppendAsync(Durability.Synced, new Entry.PodCreated(
            JournalCodec.Version, document.PodId, document.Name, document.Cwd, document.Model, scope, 1, null, 0, null, document.Limits, "none", "test"));
        return new(root, document, podLock, table, new LiveScope(directories, document.PodId, PlatformOf(document, root + "/home").Reach(directories, root + "/home", scope.Allow)), journal,
            new() { ["PATH"] = "/usr/local/bin:/usr/bin:/bin", ["HOME"] = root + "/home", ["LANG"] = "C.UTF-8" });
    }

    /// <summary>Runs a command as the model would; the whole result as text.</summary>
    internal async Task<ToolOutcome> Bash(string command, params (string Name, JsonNode? Value)[] more) =>
        await Tool("Bash").RunAsync(new ToolCall("call", "Bash", FileRoom.Json([("command", command), .. more])), Ct);

    /// <summary>What a command wrote; fails if it did not exit with 0.</summary>
    internal async Task<string> Run(string command)
    {
        var outcome = await Bash(command);
        Assert.False(outcome.IsError, $"{command}: {outcome.Summary}\n{outcome.Content}");
        return outcome.Content ?? "";
    }

    /// <summary>The command fails, and nothing outside changes; what it wrote.</summary>
    internal async Task<string> Fails(string command)
    {
        var outcome = await Bash(command);
        Assert.True(outcome.IsError, $"this worked: {command}\n{outcome.Content}");
        AssertOutsideUntouched();
        return outcome.Content ?? "";
    }

    /// <summary>What a command says that no sandbox holds; it exits with 0.</summary>
    internal async Task<string> OnHost(string command)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/bin/bash", ["-c", command]) { WorkingDirectory = W, RedirectStandardOutput = true })!;
        var said = await process.StandardOutput.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        Assert.True(process.ExitCode == 0, $"{command}: {process.ExitCode}\n{said}");
        return said;
    }

    internal Tool Tool(string name) => ShellTools.All(Shell, TimeProvider.System).Single(tool => tool.Schema.Name == name);

    internal Task<ToolOutcome> Ask(string tool, params (string Name, JsonNode? Value)[] arguments) =>
        Tool(tool).RunAsync(new ToolCall("call", tool, FileRoom.Json(arguments)), Ct);

    /// <summary>To be called when the scene outside was changed.</summary>
    internal void Remember() => _before = Outside();

    /// <summary>Content, modes, owners and times of everything outside are as they were.</summary>
    internal void AssertOutsideUntouched() => Assert.Equal(_before, Outside());

    internal IReadOnlyList<Entry> Entries => [.. new JournalReader(PodDirectory + "/" + PodFiles.Journal).ReadAfter(Cursor.Start, out _).Select(record => record.Entry)];

    /// <summary>A child of this name holds the rules from here on; no process.</summary>
    internal async Task<string> LendAsync(string child, params string[] rules)
    {
        var id = PodName.NewId(TimeProvider.System);
        var scope = new ScopeRules([.. rules.Select(rule => Rule(rule, Root))], []);
        await Table.LendAsync(Document.PodId, new TableRow(id, child, Document.Directories.Pod(child, id), Document.PodId, Document.PodId, 1, true, 0, scope, new(), null), Ct);
        return id;
    }

    /// <summary>One beside the shell's.</summary>
    internal CommandLauncher Launcher => _launchers.Count > 1 ? _launchers[1] : NewLauncher();

    internal static PodProgram Keeper { get; } = new(RealPod.Yoi, [RealPod.Yoi, PodProgram.Keep]);

    internal Shell NewShell(CommandLauncher? launcher = null) => new(Document, Scope, Platform, Journal, Running, launcher ?? NewLauncher(), name => Environment.GetValueOrDefault(name), TimeProvider.System);

    /// <summary>One of its own, that the room disposes.</summary>
    internal CommandLauncher NewLauncher(PodProgram? keeper = null, TimeProvider? time = null)
    {
        _launchers.Add(new(Level, () => keeper ?? Keeper, _lock, name => Environment.GetValueOrDefault(name), time ?? TimeProvider.System));
        return _launchers[^1];
    }

    /// <summary>Processes that have the environment of this room's commands, at level <c>partial</c>: of a command or waiting for one.</summary>
    internal IReadOnlyList<(int Pid, bool Waits)> Shells =>
        [.. System.IO.Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1]) && Text(path + "/environ").Contains($"TMPDIR={Places.SeenTemp}\0", StringComparison.Ordinal))
            .Select(path => (int.Parse(path.AsSpan("/proc/".Length), System.Globalization.CultureInfo.InvariantCulture), Waits(path)))];

    /// <summary>True if the process of this directory of /proc is a shell that no command has been handed to yet: it has the file for it open.</summary>
    internal static bool Waits(string process) => LinkAt(process + "/fd/3") == "/memfd:yoi (deleted)";

    /// <summary>The shell that waits for the room's next command.</summary>
    internal async Task<int> NextShellAsync()
    {
        await Eventually.Holds(() => Shells is [{ Waits: true }]);
        return Shells[0].Pid;
    }

    /// <summary>What is in a file of /proc; nothing if the process is gone, or another's.</summary>
    internal static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string? LinkAt(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>What the launcher needs for a command in the room's scope, or in another.</summary>
    internal CommandOrder Order(string line, ScopePolicy? scope = null, string? cwd = null)
    {
        var policy = SandboxPolicy.Of(scope ?? Scope.Current(), Platform, Document.Directories, Home, false);
        var places = PrivatePlaces.Make(PodDirectory, Level, policy.Platform, Home);
        return new(PodDirectory, policy, SandboxView.Of(policy, []), places, new(), cwd ?? W, cwd ?? W, line, $"{places.Output}/{Guid.NewGuid():n}");
    }

    /// <summary>True at level <c>partial</c>: it cannot hold the room's scope, says why, and runs nothing.</summary>
    internal async Task<bool> IsRefused(string because)
    {
        if (Level == "kernel") return false;
        Assert.Contains(because, (await Assert.ThrowsAsync<ToolFailure>(() => Bash($"touch {W}/ran"))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(W + "/ran"));
        return true;
    }

    internal static ScopeRule Rule(string text, string root)
    {
        const string flat = " [non-recursive]";
        var recursive = !text.EndsWith(flat, StringComparison.Ordinal);
        var parts = (recursive ? text : text[..^flat.Length]).Split(':', 2);
        return new(root + parts[1], parts[0] == "write" ? Permission.Write : Permission.Read, recursive);
    }

    public async ValueTask DisposeAsync()
    {
        await Shell.EndAllAsync();
        foreach (var launcher in _launchers) await launcher.DisposeAsync();
        await Journal.DisposeAsync();
        Scope.Dispose();
        Table.Dispose();
        _lock.Dispose();
        Assert.False(CommandMarks.AnyLeft(PodDirectory));
        System.IO.Directory.Delete(Root, recursive: true);
    }

    private string Outside() => string.Join('\n', new[] { O, Home }.SelectMany(top => System.IO.Directory.EnumerateFileSystemEntries(top, "*", SearchOption.AllDirectories)).Order(StringComparer.Ordinal)
        .Select(path => new FileInfo(path))
        .Select(info => $"{info.FullName} {info.UnixFileMode} {info.LastWriteTimeUtc.Ticks} {((info.Attributes & (FileAttributes.Directory | FileAttributes.Device)) != 0 || info.Name.EndsWith(".sock", StringComparison.Ordinal) ? "" : Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(info.FullName))))}"));
}
