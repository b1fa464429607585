using System.CommandLine;
using Yoi.Protocol;

namespace Yoi.Commands;

/// <summary><c>yoi send NAME TEXT</c>: input for a Pod.</summary>
internal static class SendCommand
{
    internal static Command Create(Surroundings s)
    {
        var name = PodFinder.Argument<string>(s, "NAME", "The Pod.", ArgumentArity.ExactlyOne, pod => pod.IsAlive);
        var text = new Argument<string?>("TEXT") { Description = "What to say; `-` reads it from stdin.", Arity = ArgumentArity.ZeroOrOne };
        var queue = new Option<bool>("--queue", "-q") { Description = "If the Pod is in a run, start another one with this text after it." };
        var command = new Command("send", "Send input to a Pod; an idle one starts a run with it.") { name, text, queue };
        command.SetAction(async (parsed, ct) =>
        {
            var input = await TaskText.ReadAsync(s, parsed.GetValue(text), "message", ct);
            var pod = PodFinder.Find(s, parsed.GetRequiredValue(name));
            await using var client = await PodFinder.ConnectAsync(s, pod, ct);
            try
            {
                var accepted = await client.RunAsync(input, parsed.GetValue(queue) ? SendMode.Queue : SendMode.Reject, ct);
                s.Screen.Line($"{(accepted.Queued ? "queued" : "delivered")} as {accepted.Seq}");
                return ExitCode.Ok;
            }
            catch (PodRefusedException e) when (e.Error.Code == ErrorCode.AlreadyRunning)
            {
                throw new CommandException(ExitCode.Refused, $"{pod.Name} is in a run; `yoi send --queue {pod.Name} …` starts another one after it, `yoi wait {pod.Name}` waits for its end");
            }
        });
        return command;
    }
}
