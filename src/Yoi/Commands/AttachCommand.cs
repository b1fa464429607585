using System.CommandLine;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi attach NAME</c>: follow a Pod live; a typed line is sent, Ctrl-C cancels the run, Ctrl-D detaches.</summary>
internal static class AttachCommand
{
    /// <summary>Entries of the past that are shown first.</summary>
    private const int Backlog = 40;

    internal static Command Create(Surroundings s)
    {
        var name = PodFinder.Argument<string>(s, "NAME", "The Pod.", ArgumentArity.ExactlyOne, pod => pod.IsAlive);
        var all = new Option<bool>("--all") { Description = "Begin with the first entry." };
        var command = new Command("attach", "Follow a Pod live and talk to it.") { name, all };
        command.SetAction(async (parsed, ct) =>
        {
            var pod = PodFinder.Find(s, parsed.GetRequiredValue(name));
            using var interrupts = new Interrupts();
            await using var client = await PodFinder.ConnectAsync(s, pod, ct);
            return await FollowAsync(s, pod, client, parsed.GetValue(all), interrupts, ct);
        });
        return command;
    }

    private static async Task<int> FollowAsync(Surroundings s, KnownPod pod, PodClient client, bool all, Interrupts interrupts, CancellationToken ct)
    {
        var status = await client.StatusAsync(ct);
        s.Screen.Remark($"{pod.Name} is {Amounts.Name(status.State)}; type to send, Ctrl-C cancels its run, Ctrl-D detaches");
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var view = ShowAsync(s, pod, client, all ? 1 : Math.Max(1, status.HeadSeq - Backlog), leave.Token);
        Func<string?> next = s.InputIsTerminal && s.Screen.IsLive ? new Keyboard(s.Screen).ReadLine : () => PipedText.ReadLine(s.Input);
        // Blocks a thread of its own until a line is there: the console has no other way.
        var typed = Task.Run(next, leave.Token);
        try
        {
            for (var seen = 0; ;)
            {
                var signal = interrupts.After(seen);
                await Task.WhenAny(view, typed, signal);
                if (view.IsCompleted)
                {
                    await view;
                    var end = PodFinder.EndOf(pod);
                    s.Screen.Remark($"{pod.Name} {end ?? $"is gone, and its end is not recorded; `yoi restore {pod.Name}` brings it back"}");
                    return end is null ? ExitCode.RunFailed : ExitCode.Ok;
                }
                if (signal.IsCompleted)
                {
                    seen = interrupts.Raised;
                    if (interrupts.EndCode is { } code and not ExitCode.Interrupted) return code;
                    await CancelAsync(s, pod, client, ct);
                }
                if (!typed.IsCompleted) continue;
                if (await typed is not { } line)
                {
                    s.Screen.Remark($"detached; {pod.Name} goes on, `yoi stop {pod.Name}` ends it");
                    return ExitCode.Ok;
                }
                if (line.Trim().Length > 0) await SendAsync(s, client, line, ct);
                typed = Task.Run(next, leave.Token);
            }
        }
        finally
        {
            s.Screen.Typed("", 0);
            await leave.CancelAsync();
        }
    }

    private static async Task CancelAsync(Surroundings s, KnownPod pod, PodClient client, CancellationToken ct)
    {
        try
        {
            await client.CancelAsync(ct);
        }
        catch (PodRefusedException e) when (e.Error.Code == ErrorCode.NotRunning)
        {
            s.Screen.Remark($"{pod.Name} has no run to cancel; Ctrl-D detaches");
        }
        catch (PodRefusedException e)
        {
            s.Screen.Error(e.Message);
        }
    }

    private static async Task SendAsync(Surroundings s, PodClient client, string line, CancellationToken ct)
    {
        try
        {
            await client.RunAsync(line, SendMode.Queue, ct);
        }
        catch (PodRefusedException e)
        {
            s.Screen.Error(e.Message);
        }
    }

    private static async Task ShowAsync(Surroundings s, KnownPod pod, PodClient client, long fromSeq, CancellationToken ct)
    {
        var view = new PodView(s.Screen);
        using var waiting = new WaitingLine(s.Screen, s.Time, pod.Created is { } created ? EntryText.ModelName(created.Model) : "model");
        try
        {
            await foreach (var message in client.AttachAsync(fromSeq, ct))
            {
                waiting.Take(message);
                view.Take(message);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            s.Screen.EndLine(); // The Pod ended, or we leave: the caller says which.
        }
    }
}
