using System.Text.Json.Serialization;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>A Pod as <c>yoi ps</c> shows it.</summary>
/// <param name="State">
/// <c>idle</c>, <c>running</c>, <c>paused</c>, <c>stopping</c>; <c>not_answering</c> (alive, silent); <c>ended</c>; <c>dead</c> (gone, its
/// end is not recorded yet); <c>damaged</c> (its journal cannot be read).
/// </param>
/// <param name="Spawner">Id of the Pod that spawned it.</param>
/// <param name="LastRun">How its last run ended; null while one goes on.</param>
/// <param name="End">End reason, with who or what, once it is recorded.</param>
internal sealed record PodRow(
    string Id, string Name, string State, int? Pid = null, string? Socket = null, string? Spawner = null, ScopeRules? Scope = null,
    string? SandboxLevel = null, string? Model = null, string? Cwd = null, int? Turns = null, long? InputTokens = null, long? OutputTokens = null,
    DateTimeOffset? LastActivity = null, string? WaitingFor = null, int? UnreadNews = null, string? LastRun = null, string? End = null, string? Note = null);

/// <summary>A row of <c>yoi scopes</c>: one rule that one Pod holds.</summary>
/// <param name="Kind"><c>allow</c> or <c>deny</c>.</param>
/// <param name="LentBy">Name of the Pod that lent it; null if a root holds it.</param>
/// <param name="Pending">Lent, and not yet adopted by the child.</param>
/// <param name="LentTo">Names of children that hold a part of it now.</param>
internal sealed record ScopeRow(
    string Pod, string Id, string Kind, Permission Permission, string Path, bool Recursive, string? LentBy, bool Pending, long Generation,
    IReadOnlyList<string> LentTo);

/// <summary>What <c>yoi start --json</c> and <c>yoi run --detach --output-format json</c> print.</summary>
internal sealed record StartedRow(string Name, string Id, int Pid, string Socket, long? Seq = null);

/// <summary>What <c>yoi run --output-format json</c> prints, and the data of the last line of <c>stream-json</c>.</summary>
/// <param name="Result">Text of the last message of the last run.</param>
/// <param name="End">End reason of the last run.</param>
internal sealed record RunResult(
    string? Result, string Name, string Id, string? End, string? Detail, int Runs, int Turns, long InputTokens, long OutputTokens, double Seconds);

/// <summary>The last line of <c>stream-json</c>.</summary>
internal sealed record ResultLine(string Event, RunResult Data);

/// <summary>Where a Pod is, after waiting for it.</summary>
internal sealed record WaitRow(string Name, string Id, string State, string? RunEnd, string? End, bool Done);

/// <summary>What <c>yoi stop --json</c> prints for one Pod.</summary>
internal sealed record StopRow(string Name, string Id, PodEnd Reason, string? By, string? Detail, IReadOnlyList<ScopeRule> Returned, IReadOnlyList<string> Below);

/// <summary>What <c>yoi restore --json</c> prints for one Pod.</summary>
/// <param name="State"><c>idle</c>, or <c>paused</c>: then `yoi resume` goes on.</param>
/// <param name="Lost">What it held and does not hold any more, in words.</param>
/// <param name="Differences">What the settings say otherwise by now; it keeps what it has.</param>
/// <param name="Damaged">Where its journal is damaged: it came back without that; null if it is whole.</param>
internal sealed record RestoredRow(
    string Name, string Id, int Pid, string Socket, string State, IReadOnlyList<string> Lost, IReadOnlyList<string> Differences, ScopeRules Scope, string? Damaged);

/// <summary>What is left of a removed Pod: a file in <c>tombstones/</c> of the state directory.</summary>
internal sealed record Tombstone(string Id, string Name, string? End, long LastSeq, DateTimeOffset RemovedAt);

/// <summary>What <c>yoi read --json</c> prints.</summary>
internal sealed record ReadPage(string Name, string Id, IReadOnlyList<string> Text, long NextSeq, string State);

/// <summary>What <c>yoi gc --json</c> prints.</summary>
/// <param name="DryRun">True if nothing was removed.</param>
/// <param name="Pods">Pods whose files go or are gone.</param>
/// <param name="Kept">Those that would go but for a reason.</param>
/// <param name="Bytes">What all that goes takes.</param>
/// <param name="LeftBytes">What all other Pods take.</param>
internal sealed record GcResult(bool DryRun, IReadOnlyList<GcRow> Pods, IReadOnlyList<GcRow> Kept, IReadOnlyList<GcLeftover> Leftovers, long Bytes, long LeftBytes);

/// <summary>A Pod that goes, or stays and why.</summary>
internal sealed record GcRow(string Name, string Id, string State, string? End, long Bytes, DateTimeOffset LastActivity, string? Why);

/// <summary>A file or directory that a process that is gone left behind.</summary>
internal sealed record GcLeftover(string Path, long Bytes);

/// <summary>What <c>yoi repair --json</c> prints for one Pod.</summary>
/// <param name="Kept">Files that hold what was there before.</param>
internal sealed record RepairRow(string Name, string Id, IReadOnlyList<RepairPlace> Places, IReadOnlyList<string> Kept);

/// <summary>One damaged place and what came of it.</summary>
/// <param name="Line">From 1; 0 if the whole file, or its unfinished end, is meant.</param>
internal sealed record RepairPlace(string File, int Line, long Offset, string What, bool Restored, string Outcome);

/// <summary>One thing that <c>yoi doctor</c> looked at.</summary>
/// <param name="Status"><c>ok</c>, <c>warning</c>, <c>failed</c> or <c>info</c>.</param>
internal sealed record CheckRow(string Name, string Status, string Detail);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(IReadOnlyList<PodRow>)), JsonSerializable(typeof(IReadOnlyList<ScopeRow>)), JsonSerializable(typeof(StartedRow))]
[JsonSerializable(typeof(RunResult)), JsonSerializable(typeof(ResultLine)), JsonSerializable(typeof(IReadOnlyList<WaitRow>))]
[JsonSerializable(typeof(IReadOnlyList<RestoredRow>)), JsonSerializable(typeof(IReadOnlyList<StopRow>)), JsonSerializable(typeof(Tombstone)), JsonSerializable(typeof(ReadPage))]
[JsonSerializable(typeof(IReadOnlyList<CheckRow>)), JsonSerializable(typeof(IReadOnlyList<RepairRow>)), JsonSerializable(typeof(GcResult)), JsonSerializable(typeof(DemoResult)), JsonSerializable(typeof(ExplainedScope))]
internal sealed partial class TerminalJson : JsonSerializerContext;
