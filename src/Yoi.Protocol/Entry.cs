using System.Text.Json;
using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>
/// What a journal entry says. The kind's name is the snake_case name of the case (see <see cref="Kinds.Entries"/>);
/// what clients see after <c>attach</c> is the same object.
/// </summary>
/// <remarks>Fields are only ever added, each with a default: every later build reads every earlier journal.</remarks>
public abstract record Entry
{
    private Entry() { }

    // ---- the Pod's own life ----

    /// <summary>The first entry of every journal: who this Pod is and what it was started with.</summary>
    /// <param name="Version">Version of the journal's format. See docs/journal.md.</param>
    /// <param name="Limits">Limits in force, as launched.</param>
    /// <param name="KeySource">Where the provider's key came from (<c>env:NAME</c>, <c>file:PATH</c>, <c>none</c>); never the key.</param>
    /// <param name="LaunchedBy">Executable and version that serves this Pod.</param>
    /// <param name="RootId">Root of the Pod's tree; null if it is a root itself.</param>
    /// <param name="Timing">Limits of time towards the provider; null in journals of the first build.</param>
    /// <param name="Network">True: commands have the host's network.</param>
    /// <param name="PlatformSet">Directories that the user's settings added to the platform set.</param>
    /// <param name="Commands">Limits of each command; null for the defaults.</param>
    public sealed record PodCreated(
        int Version, string PodId, string Name, string Cwd, ModelChoice Model, ScopeRules Scope, long Generation,
        SpawnerRef? Spawner, int Depth, string? Role, PodLimits Limits, string KeySource, string LaunchedBy,
        string? RootId = null, ModelTiming? Timing = null, bool Network = false, IReadOnlyList<string>? PlatformSet = null,
        CommandLimits? Commands = null) : Entry;

    /// <summary>The system prompt and the tools, rendered once. With the entries after it, all that a request is made of.</summary>
    public sealed record Prompt(string System, IReadOnlyList<ToolSchema> Tools) : Entry;

    /// <summary>The process that serves the Pod from here on.</summary>
    /// <param name="PidNamespace">Inode of the pid namespace in which <paramref name="Pid"/> is a number; null if it was not written down.</param>
    public sealed record ProcessStarted(int Pid, string StartTime, string BootId, string SandboxLevel, long? PidNamespace = null) : Entry;

    /// <summary>The scope as it is from here on, after lending, a return or a change by the human.</summary>
    /// <param name="Lent">What is lent out now and cannot be written here.</param>
    public sealed record ScopeChanged(ScopeRules Scope, IReadOnlyList<LentRules> Lent, long Generation, string Why) : Entry;

    /// <summary>The end of the Pod. Written by the Pod itself, or by whoever verified that its whole process tree is gone.</summary>
    /// <param name="By">Who ended it, for <see cref="PodEnd.Stopped"/>.</param>
    /// <param name="Detail">Exit code, signal or what is known.</param>
    /// <param name="Returned">The rules that went back to the spawner.</param>
    /// <param name="WrittenBy">Pod name or <c>human</c> that wrote this entry; null for the Pod itself.</param>
    public sealed record PodEnded(
        PodEnd Reason, string? By, string? Detail, IReadOnlyList<ScopeRule> Returned, Totals Totals, string? WrittenBy = null) : Entry;

    /// <summary>What opening the journal found and did.</summary>
    /// <param name="CutBytes">Bytes of an unfinished last record that were cut off.</param>
    /// <param name="DamagedLines">Lines in the middle whose checksum does not hold; they are skipped and never served.</param>
    /// <param name="Lost">True if this entry stands in the place of one or more that were damaged and could not be restored.</param>
    public sealed record Repaired(long CutBytes, int DamagedLines, bool Lost = false) : Entry;

    // ---- input and runs ----

    /// <summary>Input that was accepted. It starts a run, or waits for the one before it to end.</summary>
    /// <param name="From"><c>human</c>, or the name of the Pod that sent it.</param>
    /// <param name="Queued">True if it was accepted while a run was going on.</param>
    public sealed record Input(string Text, string From = "human", bool Queued = false) : Entry;

    /// <summary>A notice from outside: the base method <c>notify</c>. The model reads it as user text.</summary>
    public sealed record Notify(string Source, string Message) : Entry;

    /// <summary>A run begins. Runs are numbered from 0 over the Pod's life.</summary>
    /// <param name="Cause">Seq of the queued input or the notice that started it; null if its input stands right before this entry.</param>
    public sealed record RunStart(int Run, long? Cause) : Entry;

    /// <summary>A turn begins: the next request is made of all entries up to this one. Numbered from 0 over the Pod's life.</summary>
    public sealed record TurnStart(int Turn) : Entry;

    /// <summary>The model's whole message. Tools run only after this entry is on disk.</summary>
    /// <param name="Partial">True if the message was cut off (cancel); its calls, if any, were dropped and never run.</param>
    /// <param name="StopReason">The provider's own word.</param>
    public sealed record Assistant(
        int Turn, IReadOnlyList<AssistantBlock> Blocks, Usage? Usage, string? StopReason, bool Partial = false) : Entry
    {
        /// <summary>What it says to people: its text blocks, without reasoning and calls. Empty if it only calls.</summary>
        [JsonIgnore]
        public string Text => string.Concat(Blocks.OfType<AssistantBlock.Text>().Select(block => block.Value));
    }

    /// <summary>The result of one call. Every call has exactly one, in call order.</summary>
    /// <param name="Summary">Short and kept.</param>
    /// <param name="Content">May be pruned later.</param>
    /// <param name="OutcomeUnknown">True if the Pod died while the call ran; it was not run again.</param>
    /// <param name="Told">What this result tells of other Pods: the durable cursors.</param>
    public sealed record ToolResult(
        string CallId, string Name, string Summary, string? Content, bool IsError,
        bool OutcomeUnknown = false, IReadOnlyList<Told>? Told = null) : Entry;

    /// <summary>A note of the runtime to the model, in the user's place: for example that a call was cut off and not run.</summary>
    public sealed record Correction(string Text) : Entry;

    /// <summary>The run is held after a turn.</summary>
    public sealed record RunPaused(int Run, string By) : Entry;

    /// <summary>The held run goes on.</summary>
    public sealed record RunResumed(int Run, string By) : Entry;

    /// <summary>The end of a run.</summary>
    /// <param name="By">Who cancelled it.</param>
    /// <param name="Detail">Kind and words of a failure.</param>
    public sealed record RunEnded(int Run, RunEnd Reason, string? By, string? Detail, int Turns) : Entry;

    /// <summary>A warning or error that a user should see; no part of the conversation.</summary>
    public sealed record Notification(string Level, string Source, string Message) : Entry;

    // ---- other Pods ----

    /// <summary>Lending is intended: written before anything moves in the scope table.</summary>
    public sealed record LendIntended(string Child, string ChildId, IReadOnlyList<ScopeRule> Rules) : Entry;

    /// <summary>A child runs and has its task; again if it was restored, or comes to this Pod because its spawner is gone.</summary>
    /// <param name="CallId">The call that asked for it.</param>
    /// <param name="From">Name of the Pod that spawned it, if that is not this one.</param>
    /// <param name="Told">Up to where that Pod had been told of it.</param>
    /// <param name="Restart"><c>on_crash</c> if it is to be started again when it crashes; null if not.</param>
    public sealed record ChildSpawned(
        string Child, string ChildId, int Pid, string StartTime, string BootId, IReadOnlyList<ScopeRule> Rules,
        long Generation, string? CallId, string? From = null, IReadOnlyList<Told>? Told = null,
        string? Restart = null) : Entry;

    /// <summary>A spawn that came to nothing; everything before it was undone.</summary>
    /// <param name="Step">The step that failed.</param>
    public sealed record SpawnFailed(string Child, string ChildId, string Step, string Why) : Entry;

    /// <summary>A child is gone, its whole process tree verified, and what it held is back.</summary>
    public sealed record ChildEnded(
        string Child, string ChildId, PodEnd Reason, string? By, string? Detail, IReadOnlyList<ScopeRule> Returned) : Entry;

    /// <summary>A living child is another's from here on: that of the Pod that spawned it and was restored.</summary>
    /// <param name="To">Name of that Pod.</param>
    public sealed record ChildHandedOver(string Child, string ChildId, string To) : Entry;

    /// <summary>News of a child, told to the model as user text by this entry; each item is told once.</summary>
    public sealed record News(string Child, string Text, Told Told) : Entry;

    // ---- commands ----

    /// <summary>A command waits at the gate of its sandbox; behind this entry it runs.</summary>
    /// <param name="Command">Name of the command: a number, or what the model called it.</param>
    /// <param name="Line">What the shell is given.</param>
    /// <param name="CallId">The call that asked for it.</param>
    /// <param name="Background">True if it goes on when its call has returned.</param>
    /// <param name="Level">The level of its sandbox.</param>
    /// <param name="Pid">The first process of its namespace; with the three after it, it names that process for good.</param>
    public sealed record CommandStarted(
        string Command, string Line, string Cwd, string? CallId, bool Background, string Level, int Pid, string StartTime, string BootId, long Namespace) : Entry;

    /// <summary>A command and everything below it is gone.</summary>
    /// <param name="ExitCode">The shell's; null if it was killed.</param>
    /// <param name="Why"><c>exited</c>, <c>killed</c>, <c>timeout</c>, <c>output_limit</c>, <c>disk_error</c> (its output could not be kept), <c>cancelled</c>, <c>pod_ended</c> or <c>replaced</c> (what was denied to it was replaced from outside).</param>
    public sealed record CommandEnded(string Command, int? ExitCode, string Why) : Entry;

    /// <summary>A kind that this build does not know. Kept as it is, shown as such, never taken for "nothing".</summary>
    public sealed record Unknown(string Kind, JsonElement Data) : Entry;
}

/// <summary>A cursor into another Pod's journal that an entry carries. That entry is the cursor's only home.</summary>
/// <param name="What"><c>news</c> (ends, failures, questions) or <c>output</c> (what ReadPodOutput returned).</param>
/// <param name="Seq">All entries of the child up to and including this one are covered.</param>
/// <param name="Offset">Byte offset just behind that entry's line: a hint, verified against the line's checksum.</param>
/// <param name="Crc">Checksum of that entry's line.</param>
/// <param name="Within">Characters of the next text behind that entry that were returned too: a long text is read in pieces.</param>
public sealed record Told(string PodId, string What, long Seq, long Offset, string Crc, int Within = 0)
{
    /// <summary>Cursor over a child's end, failure or question.</summary>
    public const string NewsCursor = "news";

    /// <summary>Cursor over a child's assistant text.</summary>
    public const string OutputCursor = "output";
}

/// <summary>The model that a Pod uses.</summary>
/// <param name="Provider"><c>anthropic</c>, <c>openai</c> (any compatible server) or <c>scripted</c>.</param>
/// <param name="BaseUrl">Origin and prefix of the API; null for the provider's own.</param>
/// <param name="MaxOutputTokens">Limit of tokens in one message.</param>
/// <param name="Script">For <c>scripted</c>: the file that drives it.</param>
/// <param name="ThinkingTokens">Budget of reasoning tokens, where the API has one.</param>
/// <param name="Alias">What the user calls the provider (<c>ollama</c>, or a name in the settings), if that is not <paramref name="Provider"/>.</param>
public sealed record ModelChoice(
    string Provider, string Model, string? BaseUrl = null, int MaxOutputTokens = 16_384, string? Script = null, int? ThinkingTokens = null, string? Alias = null);

/// <summary>Limits of time and patience towards a provider. Times are in milliseconds.</summary>
/// <param name="ConnectMs">Until the connection stands, TLS included.</param>
/// <param name="FirstEventMs">From the request sent to the first byte of the answer's stream.</param>
/// <param name="SilenceMs">Between two arrivals of bytes inside a stream; a provider's keep-alives count as life.</param>
/// <param name="MaxTries">Requests sent at most for one message, the first included.</param>
/// <param name="MaxBackoffMs">Longest wait between two tries; a provider that demands more ends the run instead.</param>
public sealed record ModelTiming(int ConnectMs = 15_000, int FirstEventMs = 120_000, int SilenceMs = 90_000, int MaxTries = 5, int MaxBackoffMs = 60_000);

/// <summary>Who spawned this Pod.</summary>
public sealed record SpawnerRef(string Name, string PodId, string Socket);

/// <summary>Plain limits; each is raised by the human, by configuration or flag.</summary>
/// <param name="TurnsPerRun">Model requests in one run.</param>
/// <param name="Children">Living children of one Pod.</param>
/// <param name="Depth">Levels of Pods below a root.</param>
/// <param name="PodsInTree">Living Pods in one tree, the root included.</param>
/// <param name="Tokens">Input and output tokens of all Pods of one tree together; null: no limit.</param>
public sealed record PodLimits(int TurnsPerRun = 200, int Children = 16, int Depth = 4, int PodsInTree = 32,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Tokens = null);

/// <summary>Limits of one command that a Pod runs; each is raised by the human, by configuration.</summary>
/// <param name="Processes">Processes and threads at a time.</param>
/// <param name="MemoryMb">Memory in MiB: of all its processes together where the kernel counts that for us, of each one alone elsewhere.</param>
/// <param name="FileMb">Largest file, in MiB.</param>
/// <param name="TempMb">Each of its file systems in memory (<c>/dev/shm</c>), in MiB.</param>
/// <param name="OutputMb">What it may write to its output before it is ended, in MiB.</param>
/// <param name="Seconds">Longest time in the foreground that a model may ask for.</param>
public sealed record CommandLimits(int Processes = 1024, int MemoryMb = 8192, int FileMb = 8192, int TempMb = 1024, int OutputMb = 64, int Seconds = 600);

/// <summary>A part of a scope that is lent out.</summary>
public sealed record LentRules(string Child, string ChildId, IReadOnlyList<ScopeRule> Rules, long Generation);

/// <summary>What a Pod did over its life.</summary>
/// <param name="LastRun">How its last run ended; null while that goes on, and if there was none.</param>
public sealed record Totals(int Runs = 0, int Turns = 0, long InputTokens = 0, long OutputTokens = 0, RunEnd? LastRun = null)
{
    /// <summary>What they are when this entry, too, is in the journal.</summary>
    internal Totals After(Entry entry) => entry switch
    {
        Entry.RunStart => this with { Runs = Runs + 1, LastRun = null },
        Entry.RunEnded ended => this with { LastRun = ended.Reason },
        Entry.TurnStart => this with { Turns = Turns + 1 },
        Entry.Assistant { Usage: { } usage } => this with
        {
            InputTokens = InputTokens + (usage.InputTokens ?? 0),
            OutputTokens = OutputTokens + (usage.OutputTokens ?? 0),
        },
        _ => this,
    };
}

/// <summary>A tool as the model is told of it. <paramref name="Parameters"/> is a JSON Schema.</summary>
public sealed record ToolSchema(string Name, string Description, JsonElement Parameters);
