using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Turns;

namespace Yoi.Tests.Spawning;

/// <summary>A Pod is killed in every gap between intent, effect and result of a turn with three calls, and started again.</summary>
public sealed class CrashGapTests : IAsyncLifetime
{
    private const int Chosen = 3, LastPass = 14;

    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Theory, Trait("case", "G05"), Trait("case", "G06"), Trait("case", "G07"), Trait("case", "T21")]
    [InlineData("journal.append")]
    [InlineData("journal.appended")]
    [InlineData("journal.sync")]
    [InlineData("tool.before_result")]
    public async Task Whatever_gap_it_is_killed_in_no_call_runs_twice_and_each_has_one_result(string step)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        var last = step == "tool.before_result" ? 3 : LastPass;
        int[] passes = [.. Enumerable.Range(1, last).OrderBy(_ => new Random(seed + _).Next()).Take(Chosen)];
        foreach (var pass in passes) await KilledAsync(step, pass);
    }

    private async Task KilledAsync(string step, int pass)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"p{pass}");
        var file = Path.Combine(_room.Folder(name), "counter");
        await File.WriteAllTextAsync(file, "x\n", _room.Ct);
        LaunchDocument? document = null;
        RoomPod pod;
        try
        {
            pod = await _room.Root(failpoint: string.Create(CultureInfo.InvariantCulture, $"{step}#{pass}:kill"), name: name,
                with: made => document = made with { Scope = new([new(Path.GetDirectoryName(file)!, Permission.Write)], []) });
        }
        catch (LaunchException)
        {
            return; // It died before it was: that is a test of its own.
        }
        var accepted = 0L;
        try
        {
            accepted = (await pod.Client.RunAsync(string.Join('\n', (string[])[
                $$"""CALL Read {"file_path":"{{file}}"}""", $$"""CALL Edit {"file_path":"{{file}}","old_string":"x\n","new_string":"xx\n"}""", $$"""CALL Glob {"pattern":"*"}"""]), ct: _room.Ct)).Seq;
        }
        catch (IOException)
        {
            // Killed before it was accepted.
        }
        await Eventually.Holds(() => !pod.Known.IsAlive || pod.All<Entry.RunEnded>().Count > 0);
        if (pod.Known.IsAlive) await pod.Killed();
        else await pod.Launched.Process.Exited.WaitAsync(_room.Ct);
        var effects = await File.ReadAllTextAsync(file, _room.Ct);

        var again = await _room.Start(document!);
        var entries = again.Entries;
        if (accepted > 0) Assert.Contains(again.Journal, record => record.Seq == accepted && record.Entry is Entry.Input);
        Judge(again, $"{step} {pass}");
        if ((await again.Client.StatusAsync(_room.Ct)).State == PodState.Paused)
        {
            var from = again.Journal[^1].Seq + 1;
            await again.Client.ResumeAsync(_room.Ct);
            await again.Until(entry => entry is Entry.RunEnded, from);
            Judge(again, $"{step} {pass}, resumed");
        }
        var known = entries.OfType<Entry.Assistant>().Any(message => message.Blocks.OfType<AssistantBlock.ToolCall>().Any(call => call.Name == "Edit"));
        if (!known) Assert.Equal("x\n", effects); // Nothing ran that was not written down…
        var after = await File.ReadAllTextAsync(file, _room.Ct);
        if (known) Assert.Equal(effects, after); // …and what was written down ran at most once; asked anew, the model may ask for it then.
        Assert.True(after is "x\n" or "xx\n", after);
    }

    // Each call has one result, and the next request has them where a provider wants them.
    private static void Judge(RoomPod pod, string when)
    {
        var entries = pod.Entries;
        var calls = entries.OfType<Entry.Assistant>().Where(message => !message.Partial).SelectMany(message => message.Blocks.OfType<AssistantBlock.ToolCall>()).Select(call => call.CallId).ToList();
        var results = entries.OfType<Entry.ToolResult>().Select(result => result.CallId).ToList();
        Assert.True(calls.SequenceEqual(results), $"{when}: calls {string.Join(',', calls)}, results {string.Join(',', results)}");
        Assert.Equal(pod.Journal.Select(record => record.Seq).Distinct(), pod.Journal.Select(record => record.Seq));
        var messages = RequestBuilder.Build(pod.Journal).Messages;
        for (var i = 0; i < messages.Count; i++)
            if (messages[i] is ModelMessage.Assistant said && said.Blocks.OfType<AssistantBlock.ToolCall>().Select(call => call.CallId).ToList() is { Count: > 0 } asked)
                Assert.Equal(asked, Assert.IsType<ModelMessage.User>(messages[i + 1]).Results.Select(result => result.CallId));
    }
}
