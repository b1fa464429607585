using System.Net.Sockets;
using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>Sends a child a message: delivered, queued, or not at all, and never left open which if that can be known.</summary>
internal sealed class SendToPodTool(string ownName, Children children, TimeProvider time) : Tool
{
    private static readonly TimeSpan HelloLimit = TimeSpan.FromMilliseconds(700), AcceptLimit = TimeSpan.FromSeconds(10);

    internal override ToolSchema Schema { get; } = PodTools.Schema("SendToPod");

    internal override ToolOrder Order(JsonElement arguments) => PodTools.SamePod(arguments);

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var (name, message) = (given.Text("name"), given.Text("message"));
        var mode = given.Choice("mode", "reject", "reject", "queue") == "queue" ? SendMode.Queue : SendMode.Reject;
        var child = children.Named(name);
        if (!children.PodOf(child).IsAlive) throw await NotActiveAsync(child, ct);
        if (Children.IsHeld(child)) throw NotAnswering(name, "it is held by SIGSTOP");

        using var limit = new CancellationTokenSource(HelloLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var sent = false;
        try
        {
            // The answer to hello proves that it reads: only then is anything sent that it might act on later.
            await using var client = await PodClient.ConnectAsync(children.Directories.Socket(child.PodId), ownName, ct: both.Token);
            limit.CancelAfter(AcceptLimit);
            sent = true;
            var reply = await client.AskAsync(new Method.Run(message, mode, ownName), both.Token);
            return reply is ReplyResult.Accepted { Queued: true }
                ? new ToolOutcome($"sent message to `{name}`: queued until its current work ends")
                : new ToolOutcome($"sent message to `{name}`");
        }
        catch (PodRefusedException e) when (e.Error.Code == ErrorCode.AlreadyRunning)
        {
            throw new ToolFailure($"pod `{name}` is already running a turn; nothing was sent. Wait for it with WaitForPods and retry, or use mode \"queue\"");
        }
        catch (PodRefusedException e)
        {
            throw new ToolFailure($"pod `{name}` did not take the message: {e.Message}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw sent ? Unknown(name, $"it did not answer within {AcceptLimit.TotalSeconds:0} s") : NotAnswering(name, $"no answer within {HelloLimit.TotalMilliseconds:0} ms");
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException)
        {
            if (sent) throw Unknown(name, e.Message);
            throw children.PodOf(child).IsAlive ? NotAnswering(name, e.Message) : await NotActiveAsync(child, ct);
        }
    }

    private async Task<ToolFailure> NotActiveAsync(Delivery.KnownChild child, CancellationToken ct)
    {
        var look = await children.LookAsync(child, HelloLimit, ct);
        var living = children.All.Where(one => children.PodOf(one).IsAlive).Select(one => $"`{one.Name}`").ToArray();
        return new ToolFailure($"pod `{child.Name}` is not active ({look.Liveness}); nothing was sent. "
            + (living.Length == 0 ? "None of your pods is active." : $"Active: {string.Join(", ", living)}."));
    }

    private static ToolFailure NotAnswering(string name, string why) =>
        new($"pod `{name}` is alive, not answering ({why}); nothing was sent. Try again later, or end it with StopPod");

    private static ToolFailure Unknown(string name, string why) =>
        new($"the message to `{name}` was sent, but whether it was accepted is unknown: {why}. Look with ReadPodOutput or ListPods before sending it again");
}
