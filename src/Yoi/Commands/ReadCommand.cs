using System.CommandLine;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi read NAME</c>: what a Pod said, from a seq on. Works on ended Pods too; moves nobody's cursor.</summary>
internal static class ReadCommand
{
    internal static Command Create(Surroundings s)
    {
        var name = PodFinder.Argument<string>(s, "NAME", "The Pod.", ArgumentArity.ExactlyOne);
        var since = new Option<long>("--since") { Description = "Only what was said behind this seq.", HelpName = "SEQ" };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on until the Pod ends or Ctrl-C." };
        var json = new Option<bool>("--json") { Description = "Print one object with text, next_seq and state." };
        var command = new Command("read", "Print what a Pod said.") { name, since, follow, json };
        command.Validators.Add(result =>
        {
            if (result.GetValue(follow) && result.GetValue(json)) result.AddError("--json prints one object, which --follow would never end; take one of them");
        });
        command.SetAction(async (parsed, ct) =>
        {
            var pod = PodFinder.Find(s, parsed.GetRequiredValue(name));
            var from = parsed.GetValue(since);
            if (parsed.GetValue(follow) && pod.IsAlive) return await FollowAsync(s, pod, from, ct);
            List<string> texts = [];
            var (next, damaged) = (new Cursor(from, from == 0 ? 0 : -1), 0);
            for (var more = true; more;)
            {
                var page = pod.Journal.ReadAfter(next, out var health, 4 << 20);
                (more, damaged) = (health.More, damaged + health.DamagedLines);
                texts.AddRange(page.Select(record => TextOf(record.Entry)).OfType<string>());
                if (page.Count > 0) next = page[^1].End;
            }
            if (damaged > 0) s.Screen.Warn($"{Amounts.Count(damaged, "damaged line")} in the journal of {pod.Name} left out; `yoi log {pod.Name}` names each, `yoi repair {pod.Name}` restores what can be restored");
            var state = (await PodListing.RowAsync(s, pod, ct)).State;
            if (parsed.GetValue(json))
            {
                s.Screen.Json(new ReadPage(pod.Name, pod.PodId, texts, next.Seq, state), TerminalJson.Default.ReadPage);
                return ExitCode.Ok;
            }
            foreach (var text in texts) s.Screen.Line(SafeText.Of(text).TrimEnd('\n'));
            s.Screen.Remark($"{pod.Name} is {state}; `--since {next.Seq}` shows what comes next");
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<int> FollowAsync(Surroundings s, Runtime.Spawning.KnownPod pod, long since, CancellationToken ct)
    {
        await using var client = await PodFinder.ConnectAsync(s, pod, ct);
        try
        {
            await foreach (var message in client.AttachAsync(since + 1, ct))
                if (message is PodMessage.Entered { Entry: var entry } && TextOf(entry) is { } text) s.Screen.Line(SafeText.Of(text).TrimEnd('\n'));
        }
        catch (IOException)
        {
            s.Screen.Remark($"{pod.Name} has ended");
        }
        return ExitCode.Ok;
    }

    private static string? TextOf(Entry entry) =>
        entry is Entry.Assistant message && string.Concat(message.Blocks.OfType<AssistantBlock.Text>().Select(block => block.Value)) is { Length: > 0 } text
            ? text : null;
}
