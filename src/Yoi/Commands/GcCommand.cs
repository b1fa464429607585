using System.CommandLine;
using System.Globalization;
using Yoi.Runtime.Configuration;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary>
/// <c>yoi gc</c>: removes the files of Pods that ended long ago, and what processes that are gone left behind. Says what it would do;
/// does it with <c>--yes</c>. Never a living Pod, nor one that its spawner, which lives or can come back, has not read to its end.
/// </summary>
internal static class GcCommand
{
    private static readonly string[] States = ["ended", "damaged"];

    internal static Command Create(Surroundings s)
    {
        var age = new Option<string?>("--older-than") { Description = "Only Pods that have been quiet for so long: 12h, 30d (default: `retention.days` of the settings, else 30d).", HelpName = "TIME" };
        var size = new Option<string?>("--larger-than") { Description = "Only Pods whose files take more: 500K, 10M, 2G.", HelpName = "SIZE" };
        var below = new Option<string?>("--keep-below") { Description = "Only until all Pods together take less, the oldest first (default: `retention.max_mb`, if it is set).", HelpName = "SIZE" };
        var state = new Option<string?>("--state") { Description = "Only Pods in this state: ended or damaged.", HelpName = "STATE" };
        state.AcceptOnlyFromAmong(States);
        var yes = new Option<bool>("--yes", "-y") { Description = "Do it; else it is only said." };
        var json = new Option<bool>("--json") { Description = "Print one object." };
        age.Validators.Add(result => Check(result, Time, "a time like 12h or 30d"));
        size.Validators.Add(result => Check(result, Size, "a size like 500K, 10M or 2G"));
        below.Validators.Add(result => Check(result, Size, "a size like 500K, 10M or 2G"));
        var command = new Command("gc", "Remove the files of Pods that ended long ago; says what it would remove, --yes does it.") { age, size, below, state, yes, json };
        command.SetAction(async (parsed, ct) =>
        {
            var settings = Settings.Load(s.Directories, s.Cwd, s.Home);
            var limit = Size(parsed.GetValue(below)) ?? (settings.RetentionMb is { } mb ? (long)mb << 20 : null);
            var wanted = new Wanted(
                Time(parsed.GetValue(age)) ?? (parsed.GetValue(below) is null ? TimeSpan.FromDays(settings.RetentionDays) : TimeSpan.Zero),
                Size(parsed.GetValue(size)) ?? 0, limit, parsed.GetValue(state), s.Time.GetUtcNow() - TimeSpan.FromDays(settings.RetentionDays));
            var result = await CollectAsync(s, wanted, parsed.GetValue(yes), ct);
            if (parsed.GetValue(json)) s.Screen.Json(result, TerminalJson.Default.GcResult);
            else Show(s.Screen, result);
            if (result is { Pods: [], Kept: [], LeftBytes: > 0 } && !parsed.GetValue(json) && wanted.Age > TimeSpan.Zero)
                s.Screen.Remark($"only Pods that have been quiet for {Amounts.Roughly(wanted.Age)} are looked at; `--older-than 1h` looks at younger ones");
            return ExitCode.Ok;
        });
        return command;
    }

    /// <param name="Tombstones">Those from before that go: what was removed so long ago nobody asks for any more.</param>
    private sealed record Wanted(TimeSpan Age, long Bytes, long? KeepBelow, string? State, DateTimeOffset Tombstones);

    private static async Task<GcResult> CollectAsync(Surroundings s, Wanted wanted, bool really, CancellationToken ct)
    {
        var retention = new Retention(s);
        var rows = (await PodListing.CollectAsync(s, retention.Pods, ct)).ToDictionary(row => row.Id, StringComparer.Ordinal);
        var pods = retention.Pods.Select(pod => (Pod: pod, Row: rows[pod.PodId], Bytes: Retention.Bytes(pod.Directory))).ToList();
        var total = pods.Sum(pod => pod.Bytes);
        List<GcRow> gone = [], kept = [];
        foreach (var (pod, row, bytes) in pods)
        {
            var last = row.LastActivity ?? new DateTimeOffset(Directory.GetLastWriteTimeUtc(pod.Directory), TimeSpan.Zero);
            GcRow Row(string? why) => new(pod.Name, pod.PodId, row.State, row.End, bytes, last, why);
            if (row.State is not ("ended" or "damaged" or "dead") || (wanted.State is { } state && state != row.State)) continue;
            if (s.Time.GetUtcNow() - last < wanted.Age || bytes < wanted.Bytes || total < wanted.KeepBelow) continue;
            if ((really ? retention.Remove(pod) : retention.WhyNot(pod)) is { } why) // So for all whose end is not recorded.
            {
                kept.Add(Row(why));
                continue;
            }
            total -= bytes;
            gone.Add(Row(null));
        }
        List<GcLeftover> leftovers = [.. retention.Leftovers(really).Concat(retention.Tombstones(wanted.Tombstones, really))];
        return new(!really, gone, kept, leftovers, gone.Sum(row => row.Bytes) + leftovers.Sum(row => row.Bytes), total);
    }

    private static void Show(Screen screen, GcResult result)
    {
        foreach (var row in result.Pods) screen.Line($"{(result.DryRun ? "would remove" : "removed")} {row.Name} ({row.Id}): {row.State}, {Amounts.Bytes(row.Bytes)}, last active {row.LastActivity:yyyy-MM-dd}");
        foreach (var row in result.Leftovers) screen.Line($"{(result.DryRun ? "would remove" : "removed")} {SafeText.Of(row.Path)}: left behind, {Amounts.Bytes(row.Bytes)}");
        foreach (var row in result.Kept) screen.Remark("kept: " + SafeText.Of(row.Why!));
        var count = Amounts.Count(result.Pods.Count, "Pod");
        screen.Line(result.DryRun
            ? $"{count}, {Amounts.Bytes(result.Bytes)}{(result.Pods.Count + result.Leftovers.Count > 0 ? "; with --yes they go" : "")}; what stays takes {Amounts.Bytes(result.LeftBytes)}"
            : $"{count}, {Amounts.Bytes(result.Bytes)} removed; what is left takes {Amounts.Bytes(result.LeftBytes)}");
    }

    private static void Check<T>(System.CommandLine.Parsing.OptionResult result, Func<string?, T?> read, string what)
    {
        if (result.Tokens is [var token] && read(token.Value) is null) result.AddError($"{result.Option.Name} takes {what}, not \"{token.Value}\"");
    }

    private static TimeSpan? Time(string? text) => Number(text) is not ({ } number, var unit) ? null : unit switch
    {
        'm' => TimeSpan.FromMinutes(number),
        'h' => TimeSpan.FromHours(number),
        'd' => TimeSpan.FromDays(number),
        'w' => TimeSpan.FromDays(7 * number),
        _ => null,
    };

    private static long? Size(string? text) => Number(text) is not ({ } number, var unit) ? null : char.ToUpperInvariant(unit) switch
    {
        'K' => (long)(number * (1 << 10)),
        'M' => (long)(number * (1 << 20)),
        'G' => (long)(number * (1 << 30)),
        _ => null,
    };

    private static (double? Number, char Unit) Number(string? text) => text is { Length: > 1 }
        && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number < 1_000_000
        ? (number, text[^1]) : (null, ' ');
}
