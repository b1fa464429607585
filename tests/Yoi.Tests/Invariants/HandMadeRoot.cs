using System.Buffers;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Turns;
using Yoi.Shared.Invariants;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Invariants;

/// <summary>A root written by hand: a lead that lent a part to a kid, both alive and at rest. Tests spoil it in one place.</summary>
internal sealed class HandMadeRoot : IDisposable
{
    internal const string Lead = "0198c0ffee00700080000000000000aa", Kid = "0198c0ffee00700080000000000000bb";

    private readonly SpawningRoot _root = new();
    private readonly Dictionary<string, PodLock> _lives = new(StringComparer.Ordinal);

    internal HandMadeRoot()
    {
        Directory.CreateDirectory(_root.Directories.Runtime);
        Scope = Write("/w");
        Lent = Write("/w/kid");
        Journals[Lead] =
        [
            Created("lead", Lead, Scope, 1, null), Process, Prompt, new Entry.Input("go"), new Entry.RunStart(0, null), new Entry.TurnStart(0),
            Calls(("a", "SpawnPod", """{"name":"kid"}"""), ("b", "Write", """{"file_path":"/w/mine"}""")),
            new Entry.LendIntended("kid", Kid, Lent.Allow), new Entry.ChildSpawned("kid", Kid, 2, "0", "boot", Lent.Allow, 2, "a"),
            Result("a", "SpawnPod"), Result("b", "Write"),
            new Entry.TurnStart(1), Said("done"), new Entry.RunEnded(0, RunEnd.Completed, null, null, 2),
        ];
        Journals[Kid] =
        [
            Created("kid", Kid, Lent, 2, new SpawnerRef("lead", Lead, "/s")), Process, Prompt,
            new Entry.Input("task", "lead"), new Entry.RunStart(0, null), new Entry.TurnStart(0), Said("kid is done"), new Entry.RunEnded(0, RunEnd.Completed, null, null, 1),
        ];
        // What the kid said was told to the lead.
        Journals[Lead].Insert(11, new Entry.News("kid", "kid is done", new Told(Kid, Told.NewsCursor, 8, 0, "0")));
        Tables.Add(new TableDocument(1, 1, [Row("lead", Lead, Scope, 1, null)]));
        Tables.Add(new TableDocument(1, 2, [Row("lead", Lead, Scope, 1, null), Row("kid", Kid, Lent, 2, Lead)]));
        Living.UnionWith([Lead, Kid]);
    }

    internal YoiDirectories Directories => _root.Directories;
    internal ScopeRules Scope { get; }
    internal ScopeRules Lent { get; }
    internal Dictionary<string, List<Entry>> Journals { get; } = new(StringComparer.Ordinal);
    internal List<TableDocument> Tables { get; } = [];
    internal HashSet<string> Living { get; } = new(StringComparer.Ordinal);
    internal List<Acknowledged> Inputs { get; } = [new(Lead, 4, "go")];
    internal List<SentRequest> Requests { get; } = [];
    internal Dictionary<string, PodStatus> Statuses { get; } = new(StringComparer.Ordinal);

    private static Entry Process => new Entry.ProcessStarted(1, "0", "boot", "kernel");
    private static Entry Prompt => new Entry.Prompt("You are `x`", []);

    internal static Entry.Assistant Said(string text) => new(0, [new AssistantBlock.Text(text)], null, "end_turn");

    internal static Entry.Assistant Calls(params (string Id, string Tool, string Arguments)[] calls) =>
        new(0, [.. calls.Select(call => new AssistantBlock.ToolCall(call.Id, call.Tool, call.Arguments))], null, "tool_use");

    internal static Entry.ToolResult Result(string id, string tool) => new(id, tool, "ok", null, IsError: false);

    internal static ScopeRules Write(string path) => new([new ScopeRule(path, Permission.Write)], []);

    internal TableRow Row(string name, string id, ScopeRules scope, long generation, string? spawner, bool pending = false) =>
        new(id, name, Directories.Pod(name, id), spawner, Lead, spawner is null ? 0 : 1, pending, generation, scope, new PodLimits(), 1);

    /// <summary>The request that the lead's journal makes at its first turn.</summary>
    internal SentRequest FirstRequest() => new("lead", new OpenAiWire().Write(RequestBuilder.Build(
        Journals[Lead].Take(6).Select((entry, at) => new JournalRecord(at + 1, default, entry, 0, 0, "")))));

    internal string PodDirectory(string id) => Directories.Pod(id == Lead ? "lead" : "kid", id);

    /// <summary>Writes it all down and returns what the checks say of it.</summary>
    internal IReadOnlyList<string> Judge(bool stopped = false)
    {
        foreach (var (id, entries) in Journals) Put(id, entries);
        foreach (var id in Living.Where(id => !_lives.ContainsKey(id))) _lives[id] = PodLock.TryTake(PodDirectory(id))!;
        if (Tables.Count > 0) WriteTable(Tables[^1]);
        var evidence = new Evidence(Directories, Tables, Inputs, Requests, new OpenAiWire());
        var journals = evidence.Journals();
        return
        [
            .. Writers.Check(evidence.Tables).Concat(Histories.Check(evidence, journals))
                .Concat(stopped ? Present.WhenStopped(evidence, journals) : Present.AtRest(evidence, journals, Statuses))
                .Concat(Present.Leftovers(Directories, journals))
                .Select(violation => violation.ToString()),
        ];
    }

    private static Entry.PodCreated Created(string name, string id, ScopeRules scope, long generation, SpawnerRef? spawner) => new(
        JournalCodec.Version, id, name, "/w", new ModelChoice("openai", "mock"), scope, generation, spawner, spawner is null ? 0 : 1, null, new PodLimits(), "none", "yoi 0.1.0");

    private void Put(string id, IEnumerable<Entry> entries)
    {
        var bytes = new ArrayBufferWriter<byte>();
        var seq = 0;
        foreach (var entry in entries) JournalCodec.Write(bytes, ++seq, TimeProvider.System.GetUtcNow(), entry);
        PrivateFile.CreateDirectory(Directories.State);
        PrivateFile.CreateDirectory(Directories.Pods);
        PrivateFile.CreateDirectory(PodDirectory(id));
        WritePrivately($"{PodDirectory(id)}/{PodFiles.Journal}", bytes.WrittenSpan);
    }

    private void WriteTable(TableDocument table) => WritePrivately(Directories.ScopeTable, JsonSerializer.SerializeToUtf8Bytes(table, TableJson.Default.TableDocument));

    private static void WritePrivately(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = PrivateFile.OpenToWrite(path);
        RandomAccess.Write(file, bytes, 0);
    }

    public void Dispose()
    {
        foreach (var life in _lives.Values) life.Dispose();
        _root.Dispose();
    }
}
