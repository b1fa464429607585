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
        var view = ShowAsync(s, client, all ? 1 : Math.Max(1, status.HeadSeq - Backlog), leave.Token);
        var typed = ReadLineAsync(s, leave.Token);
        try
        {
            while (true)
            {
                var signal = interrupts.Next;
                await Task.WhenAny(view, typed, signal);
                if (view.IsCompleted)
                {
                    await view;
                    s.Screen.Remark($"{pod.Name} {PodFinder.EndOf(pod) ?? "is gone"}");
                    return ExitCode.Ok;
                }
                if (signal.IsCompleted)
                {
                    if (interrupts.EndCode is { } code and not ExitCode.Interrupted) return code;
                    await TryAsync(s, () => client.AskAsync(new Method.Cancel(), ct));
                }
                if (!typed.IsCompleted) continue;
                if (await typed is not { } line)
                {
                    s.Screen.Remark($"detached; {pod.Name} goes on, `yoi stop {pod.Name}` ends it");
                    return ExitCode.Ok;
                }
                if (line.Trim().Length > 0) await TryAsync(s, () => client.RunAsync(line, SendMode.Queue, ct));
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

    private static async Task TryAsync<T>(Surroundings s, Func<Task<T>> ask)
    {
        try
        {
            await ask();
        }
        catch (PodRefusedException e)
        {
            s.Screen.Error(e.Message);
        }
    }

    private static async Task ShowAsync(Surroundings s, PodClient client, long fromSeq, CancellationToken ct)
    {
        var view = new PodView(s.Screen);
        try
        {
            await foreach (var message in client.AttachAsync(fromSeq, ct)) view.Take(message);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            view.EndLine(); // The Pod ended, or we leave: the caller says which.
        }
    }
}
