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
        var own = new OwnLines(s.InputIsTerminal);
        var view = ShowAsync(s, client, all ? 1 : Math.Max(1, status.HeadSeq - Backlog), own, leave.Token);
        var typed = ReadLineAsync(s, leave.Token);
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
                if (line.Trim().Length > 0) await SendAsync(s, client, line, own, ct);
                typed = ReadLineAsync(s, leave.Token);
            }
        }
        finally
        {
            await leave.CancelAsync();
        }
    }

    /// <summary>Blocks a thread of its own until a line is there: the console has no other way.</summary>
    private static Task<string?> ReadLineAsync(Surroundings s, CancellationToken ct) => Task.Run(s.Input.ReadLine, ct);

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

    private static async Task SendAsync(Surroundings s, PodClient client, string line, OwnLines own, CancellationToken ct)
    {
        own.Typed(line);
        try
        {
            await client.RunAsync(line, SendMode.Queue, ct);
        }
        catch (PodRefusedException e)
        {
            own.IsShown(line);
            s.Screen.Error(e.Message);
        }
    }

    private static async Task ShowAsync(Surroundings s, PodClient client, long fromSeq, OwnLines own, CancellationToken ct)
    {
        var view = new PodView(s.Screen);
        try
        {
            await foreach (var message in client.AttachAsync(fromSeq, ct))
            {
                if (message is not PodMessage.Entered { Entry: Entry.Input { From: "human" } input } || !own.IsShown(input.Text)) view.Take(message);
                else if (input.Queued) s.Screen.Remark("queued");
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            s.Screen.EndLine(); // The Pod ended, or we leave: the caller says which.
        }
    }

    /// <summary>Lines that were typed here stand on the terminal already, and are not shown again when their entries come.</summary>
    private sealed class OwnLines(bool onTerminal)
    {
        private readonly Lock _lock = new();
        private readonly List<string> _lines = [];

        internal void Typed(string line)
        {
            if (!onTerminal) return;
            lock (_lock) _lines.Add(line);
        }

        /// <summary>True once for each line.</summary>
        internal bool IsShown(string line)
        {
            lock (_lock) return _lines.Remove(line);
        }
    }
}
