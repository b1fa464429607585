using System.CommandLine;
using Yoi.Protocol;

namespace Yoi.Commands;

/// <summary><c>yoi resume NAME</c>: goes on with a run that is paused or was cut off, or with what waits at a restored Pod.</summary>
internal static class ResumeCommand
{
    internal static Command Create(Surroundings s)
    {
        var name = PodFinder.Argument<string>(s, "NAME", "The Pod.", ArgumentArity.ExactlyOne, pod => pod.IsAlive);
        var command = new Command("resume", "Go on with a run that is paused or was cut off.") { name };
        command.SetAction(async (parsed, ct) =>
        {
            var pod = PodFinder.Find(s, parsed.GetRequiredValue(name));
            await using var client = await PodFinder.ConnectAsync(s, pod, ct);
            try
            {
                await client.AskAsync(new Method.Resume(), ct);
            }
            catch (PodRefusedException e) when (e.Error.Code == ErrorCode.NotPaused)
            {
                throw new CommandException(ExitCode.Refused, $"{pod.Name} is not paused, and nothing waits there; `yoi send {pod.Name} …` gives it work");
            }
            catch (PodRefusedException e) when (e.Error.Code == ErrorCode.AlreadyRunning)
            {
                throw new CommandException(ExitCode.Refused, $"{pod.Name} is in a run already; `yoi attach {pod.Name}` follows it");
            }
            s.Screen.Remark($"`yoi attach {pod.Name}` follows it");
            return ExitCode.Ok;
        });
        return command;
    }
}
