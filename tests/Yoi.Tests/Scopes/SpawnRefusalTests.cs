using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Pods;
using Yoi.Tests.Spawning;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Scopes;

/// <summary>SpawnPod with a scope that may not be lent: nothing starts, nothing is written.</summary>
public sealed class SpawnRefusalTests : IAsyncDisposable
{
    private readonly SpawningRoot _root = new();
    private readonly ScopeTable _table;
    private readonly PodLock _life;
    private readonly LaunchDocument _document;
    private LiveScope? _scope;
    private JournalWriter? _journal;
    private ChildKeeper? _keeper;

    public SpawnRefusalTests()
    {
        foreach (var name in (string[])["/rw/a", "/ro", "/flat/sub", "/outside", "/rw2"]) Directory.CreateDirectory(_root.Work + name);
        File.CreateSymbolicLink(_root.Work + "/rw/link", _root.Work + "/outside");
        File.CreateSymbolicLink(_root.Work + "/rw/up", "..");
        ScopeRule[] allow = [new(_root.Work + "/rw", Permission.Write), new(_root.Work + "/ro", Permission.Read), new(_root.Work + "/flat", Permission.Write, Recursive: false)];
        _document = _root.Document("lead", new ScopeRules(allow, [new(_root.Work + "/rw/shut", Permission.Write)])) with { Cwd = _root.Work + "/rw" };
        _table = new ScopeTable(_root.Directories, TimeProvider.System);
        _table.Open();
        Directory.CreateDirectory(Own);
        _life = PodLock.TryTake(Own)!;
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Own => _root.Directories.Pod("lead", _document.PodId);

    private string Marker => _root.Path + "/started";

    public async ValueTask DisposeAsync()
    {
        if (_keeper is not null) await _keeper.DisposeAsync();
        if (_journal is not null) await _journal.DisposeAsync();
        _scope?.Dispose();
        _life.Dispose();
        _table.Dispose();
        _root.Dispose();
    }

    [Theory, Trait("case", "P23")]
    [InlineData("/", "write", true, "is not within your scope")]
    [InlineData("/", "read", false, "is not within your scope")]
    [InlineData("..", "write", true, "is not within your scope")]
    [InlineData("../outside", "read", true, "is not within your scope")]
    [InlineData("{W}/rw/../outside", "write", true, "is not within your scope")]
    [InlineData("{W}/rw2", "write", true, "is not within your scope")]
    [InlineData("link", "write", true, "/outside is not within your scope")]
    [InlineData("link/deep/new", "write", true, "is not within your scope")]
    [InlineData("up", "read", true, "is not within your scope")]
    [InlineData("up/outside", "read", true, "is not within your scope")]
    [InlineData("{W}/ro", "write", true, "may only be read here")]
    [InlineData("{W}/ro/deep", "write", false, "may only be read here")]
    [InlineData("{W}/flat", "write", true, "recursive=false")]
    [InlineData("{W}/flat/sub", "write", false, "not within your scope")]
    [InlineData("shut", "write", true, "is denied by")]
    [InlineData("", "write", true, "needs a `target`")]
    [InlineData("{LONG}", "write", true, "is longer than 4095 bytes")]
    [InlineData("/proc/self/root{W}/rw", "write", true, "is not within your scope")]
    public async Task A_scope_that_is_not_the_spawners_is_refused_before_anything_starts(string target, string permission, bool recursive, string why)
    {
        var tool = await SpawnToolAsync();
        var before = Everything();
        target = target.Replace("{LONG}", string.Concat(Enumerable.Repeat("a/", 60_000)), StringComparison.Ordinal);
        var refusal = (await Assert.ThrowsAsync<ToolFailure>(() => Spawn(tool, target.Replace("{W}", _root.Work, StringComparison.Ordinal), permission, recursive))).Message;
        Assert.Contains(why, refusal, StringComparison.Ordinal);
        Assert.EndsWith("pod `child` was not spawned (step `validate`). Nothing was changed.", refusal, StringComparison.Ordinal);
        Assert.Equal(before, Everything());
        Assert.False(File.Exists(Marker));
    }

    [Theory, Trait("case", "P23")]
    [InlineData("a", "write", true)]
    [InlineData("{W}/ro", "read", true)]
    [InlineData("{W}/flat", "write", false)]
    [InlineData("a/../a/", "write", true)]
    public async Task What_may_be_lent_starts_a_process_and_its_failure_gives_everything_back(string target, string permission, bool recursive)
    {
        var tool = await SpawnToolAsync();
        var refusal = (await Assert.ThrowsAsync<ToolFailure>(() => Spawn(tool, target.Replace("{W}", _root.Work, StringComparison.Ordinal), permission, recursive))).Message;
        Assert.Contains("not a pod", refusal, StringComparison.Ordinal); // The program's own words.
        Assert.True(File.Exists(Marker));
        Assert.Equal("lead", Assert.Single(_table.Read().Pods).Name);
        Assert.Equal(Access.Write, _scope!.Current().AccessAt(_root.Work + "/rw/a/f"));
    }

    [Theory, Trait("case", "P23")]
    [InlineData(257, "a", "`scope` has 257 rules and at most 256 are lent to a pod")]
    [InlineData(1, "a\0b", "`cwd` has a NUL in it, or")]
    public async Task More_rules_than_can_be_held_and_a_directory_that_is_none_are_refused_before_anything_starts(int rules, string cwd, string why)
    {
        var tool = await SpawnToolAsync();
        var before = Everything();
        System.Text.Json.Nodes.JsonNode[] scope = [.. Enumerable.Range(0, rules).Select(i => new System.Text.Json.Nodes.JsonObject { ["target"] = $"a/{i}", ["permission"] = "write" })];
        var call = new ToolCall("call", "SpawnPod", FileRoom.Json(("name", "child"), ("task", "work"), ("cwd", cwd), ("scope", new System.Text.Json.Nodes.JsonArray(scope))));
        Assert.Contains(why, (await Assert.ThrowsAsync<ToolFailure>(() => tool.RunAsync(call, Ct))).Message, StringComparison.Ordinal);
        Assert.Equal(before, Everything());
        Assert.False(File.Exists(Marker));
    }

    private async Task<SpawnPodTool> SpawnToolAsync()
    {
        var row = new TableRow(
            _document.PodId, _document.Name, Own, null, _document.RootId, 0, Pending: false, 0, _document.Scope, _document.Limits, Environment.ProcessId);
        await _table.AcquireAsync(row, Ct);
        _scope = new LiveScope(_root.Directories, _document.PodId);
        _keeper = new ChildKeeper(_document, TimeProvider.System);
        _journal = JournalWriter.Open(Own, _life, [_keeper], TimeProvider.System);
        _keeper.Start(_journal, _table, _scope);
        var program = SpawningRoot.Shell($"touch {Marker}; echo not a pod >&2; exit 1");
        return new SpawnPodTool(new ChildSpawner(_document, new LaunchSecrets(null, null), () => program, _scope, _table, _journal, _keeper, TimeProvider.System));
    }

    private static Task<ToolOutcome> Spawn(SpawnPodTool tool, string target, string permission, bool recursive)
    {
        var rule = new System.Text.Json.Nodes.JsonObject { ["target"] = target, ["permission"] = permission, ["recursive"] = recursive };
        return tool.RunAsync(
            new ToolCall("call", "SpawnPod", FileRoom.Json(("name", "child"), ("task", "work"), ("scope", new System.Text.Json.Nodes.JsonArray(rule)))), Ct);
    }

    /// <summary>All that is on disk: state, sockets, tokens, journals and work.</summary>
    private string Everything() => string.Join('\n', Below(_root.Path).Order(StringComparer.Ordinal).Select(path => $"{path} {Native.Describe(path)}"));

    private static IEnumerable<string> Below(string directory) => Directory.EnumerateFileSystemEntries(directory).SelectMany(path =>
        Directory.Exists(path) && new FileInfo(path).LinkTarget is null ? Below(path).Prepend(path) : [path]);
}
