using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Turns;

namespace Yoi.Tests.Control;

/// <summary>A model that says what the test tells it to, when the test tells it to.</summary>
internal sealed class TestModel : IModel
{
    private readonly Channel<ModelAnswer> _answers = Channel.CreateUnbounded<ModelAnswer>();

    internal List<ModelRequest> Requests { get; } = [];

    /// <summary>One permit a request that began.</summary>
    internal SemaphoreSlim Asked { get; } = new(0);

    internal void Say(string text) => Answer(new ModelEvent.TextDelta(0, text), Message(new AssistantBlock.Text(text)));

    internal void Call(params AssistantBlock.ToolCall[] calls) => Answer(Message([.. calls]));

    internal void Fail(ModelException failure) => Break(failure);

    /// <summary>Fails as no model may.</summary>
    internal void Break(Exception failure) => _answers.Writer.TryWrite(new ModelAnswer([], failure));

    /// <summary>Streams these, then stalls until cancelled.</summary>
    internal void Stall(params ModelEvent[] events) => _answers.Writer.TryWrite(new ModelAnswer(events, null, Stalls: true));

    internal void Answer(params ModelEvent[] events) => _answers.Writer.TryWrite(new ModelAnswer(events, null));

    internal static ModelEvent.Completed Message(params AssistantBlock[] blocks) => new(blocks, new Usage(10, 5), "end_turn");

    public async IAsyncEnumerable<ModelEvent> StreamAsync(ModelRequest request, [EnumeratorCancellation] CancellationToken ct)
    {
        lock (Requests) Requests.Add(request);
        Asked.Release();
        var answer = await _answers.Reader.ReadAsync(ct);
        foreach (var streamed in answer.Events) yield return streamed;
        if (answer.Failure is not null) throw answer.Failure;
        if (answer.Stalls) await new TaskCompletionSource().Task.WaitAsync(ct);
    }

    public void Dispose() => Asked.Dispose();

    private sealed record ModelAnswer(ModelEvent[] Events, Exception? Failure, bool Stalls = false);
}

/// <summary>A tool whose calls wait until the test lets them go on.</summary>
internal sealed class GatedTool(string name, ToolOrder order) : Tool
{
    internal SemaphoreSlim Begun { get; } = new(0);
    internal SemaphoreSlim Gate { get; } = new(0);
    internal List<string> Log { get; } = [];

    internal override ToolSchema Schema { get; } = new(name, "a test's tool", JsonDocument.Parse("""{"type":"object"}""").RootElement);

    internal override ToolOrder Order(JsonElement arguments) => order;

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        lock (Log) Log.Add("begin " + call.CallId);
        Begun.Release();
        await Gate.WaitAsync(ct);
        lock (Log) Log.Add("end " + call.CallId);
        return new ToolOutcome($"{call.CallId} done");
    }
}

/// <summary>Everything of a Pod but its socket and scope: real journal, ledger, turn loop and controller on a directory of its own.</summary>
internal sealed class ControlledPod : IAsyncDisposable
{
    private readonly PodLock _lock;
    private readonly NewsDesk _news;

    private readonly IModel _model;
    private readonly PodLimits _limits;
    private readonly Tool[] _tools;

    private ControlledPod(string directory, PodLimits limits, Tool[] tools, IModel model, Func<string, JournalFile>? file = null)
    {
        (Directory, _limits, _tools, _model) = (directory, limits, tools, model);
        _lock = PodLock.TryTake(directory) ?? throw new InvalidOperationException("the lock is held");
        Ledger = new PodLedger();
        var conversation = new Conversation(Path.Combine(directory, PodFiles.Journal));
        _news = new NewsDesk(new YoiDirectories(directory, directory, directory));
        var runLimits = new RunLimits(limits.TurnsPerRun, new CircleGuard(), new TokenBudget(directory + "/tokens", "0123", limits.Tokens));
        Journal = JournalWriter.Open(directory, _lock, [Ledger, conversation, _news, runLimits.Circles, runLimits.Tokens], TimeProvider.System,
            file ?? (path => new JournalFile(path)));
        _news.Start(Journal);
        var runner = new ToolRunner(tools, Journal, ct => BeforeCall(ct));
        var turns = new TurnLoop(Journal, conversation, model, runner, runLimits, async ct =>
        {
            await BeforeTurn(ct);
            await _news.TellAsync(ct);
        });
        var status = new StatusSource(Ledger, Journal, _news, () => (ScopeRules.None, []), () => runner.Running);
        Controller = new PodController(Ledger, Journal, new RunWorker(Ledger, Journal, turns, _news), _news, status, () => [], TimeProvider.System, () => BeforeEnd());
    }

    internal string Directory { get; }
    internal TestModel Model => (TestModel)_model;
    internal PodLedger Ledger { get; }
    internal JournalWriter Journal { get; }
    internal PodController Controller { get; }

    /// <summary>What a turn waits for before its model is asked.</summary>
    internal Func<CancellationToken, Task> BeforeTurn { private get; set; } = _ => Task.CompletedTask;

    /// <summary>What a call waits for before its tool begins.</summary>
    internal Func<CancellationToken, Task> BeforeCall { private get; set; } = _ => Task.CompletedTask;

    /// <summary>What is done before the end entry.</summary>
    internal Func<Task> BeforeEnd { private get; set; } = () => Task.CompletedTask;

    internal static Task<ControlledPod> CreateAsync(params Tool[] tools) => CreateAsync(new PodLimits(), tools);

    internal static Task<ControlledPod> CreateAsync(PodLimits limits, params Tool[] tools) =>
        CreateAsync(new TestModel(), new ModelChoice("scripted", "m"), limits, tools);

    internal static Task<ControlledPod> CreateAsync(IModel model, ModelChoice choice, PodLimits limits, params Tool[] tools) =>
        CreateAsync(model, choice, limits, tools, file: null);

    /// <param name="file">Opens the journal's file; null: an ordinary one.</param>
    internal static async Task<ControlledPod> CreateAsync(IModel model, ModelChoice choice, PodLimits limits, Tool[] tools, Func<string, JournalFile>? file)
    {
        var pod = new ControlledPod(System.IO.Directory.CreateTempSubdirectory("yoi-control-").FullName, limits, tools, model, file);
        await pod.Journal.AppendAsync(Durability.Synced,
            new Entry.PodCreated(JournalCodec.Version, "0123", "pod", "/w", choice, ScopeRules.None, 1, null, 0, null, limits, "none", "test"),
            new Entry.Prompt("system", [.. tools.Select(tool => tool.Schema)]));
        return pod;
    }

    /// <summary>The same directory served again, as after a crash: what was in memory is gone.</summary>
    internal async Task<ControlledPod> ReopenAsync(IModel? model = null)
    {
        await Journal.DisposeAsync();
        _lock.Dispose();
        var again = new ControlledPod(Directory, _limits, _tools, model ?? new TestModel());
        await Recovery.RunAsync(again.Ledger, again.Journal);
        return again;
    }

    internal Task<ReplyResult> AskAsync(Method method) => Controller.HandleAsync(method, new Caller("human"));

    internal async Task<string> RefusedAsync(Method method) =>
        (await Xunit.Assert.ThrowsAsync<RefusedException>(() => AskAsync(method))).Code;

    /// <summary>Waits until the journal holds an entry that fits, from the first on.</summary>
    internal async Task<T> SeeAsync<T>(Func<T, bool>? fits = null, int nth = 1) where T : Entry
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await using var feed = Journal.Subscribe(1, 64 << 20);
        await foreach (var item in feed.ReadAsync(limit.Token))
            if (item is FeedItem.Record { Value.Entry: T entry } && (fits?.Invoke(entry) ?? true) && --nth == 0) return entry;
        throw new InvalidOperationException("the journal closed first");
    }

    internal IReadOnlyList<JournalRecord> Records() =>
        new JournalReader(Path.Combine(Directory, PodFiles.Journal)).ReadAfter(Cursor.Start, out _);

    public async ValueTask DisposeAsync()
    {
        Controller.Shutdown("the test");
        await Task.WhenAny(Controller.Completion);
        await Controller.DisposeAsync();
        await _news.DisposeAsync();
        await Journal.DisposeAsync();
        _lock.Dispose();
        _model.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
