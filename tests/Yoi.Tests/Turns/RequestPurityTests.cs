using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Models.Wire;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Turns;
using Yoi.Shared;
using Yoi.Tests.Control;

namespace Yoi.Tests.Turns;

public sealed class RequestPurityTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    [Theory, Trait("case", "T18")]
    [InlineData("anthropic")]
    [InlineData("openai")]
    public async Task Each_request_that_was_sent_can_be_made_again_from_the_journal_file_alone(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        IWire wire = provider == "anthropic" ? new AnthropicWire() : new OpenAiWire();
        var choice = new ModelChoice(provider, "m", provider == "anthropic" ? server.Origin : server.OpenAiBaseUrl);
        IModel Model() => new HttpModel(wire, choice.BaseUrl, "key", new ModelTiming(), TimeProvider.System);
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        tool.Gate.Release(100);

        var pod = await ControlledPod.CreateAsync(Model(), choice, new PodLimits(), tool);
        try
        {
            await RunAsync(pod, "CALL Gate {}", 1);
            await RunAsync(pod, "Grüße \"q\" \\ \u0001 日本語 </x> 😀", 2);
            pod = await pod.ReopenAsync(Model()); // Between any two requests the Pod may have died.
            await RunAsync(pod, "CALL Gate {}\nCALL NoSuchTool {\"a\":1}", 3);
            await CancelInStreamAsync(pod, server);
            pod = await pod.ReopenAsync(Model());
            await pod.AskAsync(new Method.Notify("child-1", "turn done"));
            await pod.SeeAsync<Entry.RunEnded>(nth: 5);
            await RunAsync(pod, "last", 6);
            AssertPure(pod, server, wire);
        }
        finally
        {
            await pod.DisposeAsync();
        }
    }

    private static async Task RunAsync(ControlledPod pod, string input, int nth)
    {
        await pod.AskAsync(new Method.Run(input));
        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>(nth: nth)).Reason);
    }

    /// <summary>A stream that stands still behind its first text, until it is cancelled.</summary>
    private static async Task CancelInStreamAsync(ControlledPod pod, ModelServer server)
    {
        var stalled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Enqueue(Answer.Says("Hel", "lo") with
        {
            Before = async (frame, ct) =>
            {
                if (frame != 4) return;
                stalled.TrySetResult();
                await new TaskCompletionSource().Task.WaitAsync(ct);
            },
        });
        await pod.AskAsync(new Method.Run("wait"));
        await stalled.Task.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await pod.AskAsync(new Method.Cancel());
        Assert.Equal(RunEnd.Cancelled, (await pod.SeeAsync<Entry.RunEnded>(nth: 4)).Reason);
    }

    private static void AssertPure(ControlledPod pod, ModelServer server, IWire wire)
    {
        var records = pod.Records();
        var turns = records.Where(record => record.Entry is Entry.TurnStart).Select(record => record.Seq).ToList();
        var sent = server.Requests.Select(request => request.Body).ToList();
        Assert.Equal(turns.Count, sent.Count);
        byte[]? before = null;
        foreach (var (seq, body) in turns.Zip(sent))
        {
            Assert.Equal(body, wire.Write(RequestBuilder.Build(records.TakeWhile(record => record.Seq <= seq))));
            if (before is not null) AssertSharesPrefix(before, body);
            before = body;
        }
    }

    /// <summary>All of the earlier request up to the end of its last message is the beginning of the later one, to the byte.</summary>
    private static void AssertSharesPrefix(byte[] before, byte[] after)
    {
        var shared = before.AsSpan().CommonPrefixLength(after);
        var rest = System.Text.Encoding.UTF8.GetString(before.AsSpan(shared));
        Assert.True(rest.Length < 80 && !rest.Contains("\"text\":", StringComparison.Ordinal), $"only {shared} of {before.Length} bytes are shared; then: {rest}");
    }
}
