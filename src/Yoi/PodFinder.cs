using System.CommandLine;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>From what a human typed to a Pod. A name means the living Pod of that name, else the newest; a whole id means that Pod.</summary>
internal static class PodFinder
{
    /// <summary>Longest wait for a Pod to answer a verb that needs its answer.</summary>
    internal static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandException">There is none; the message names those that there are.</exception>
    internal static KnownPod Find(Surroundings s, string nameOrId)
    {
        var pods = s.Registry.All();
        if ((pods.FirstOrDefault(pod => pod.PodId == nameOrId) ?? PodRegistry.Named(pods, nameOrId)) is { } found) return found;
        var names = pods.Select(pod => pod.Name).Distinct().TakeLast(10).ToList();
        throw new CommandException(ExitCode.NotFound, names.Count == 0
            ? $"no Pod is called \"{nameOrId}\"; there are no Pods yet, `yoi run TASK` starts one"
            : $"no Pod is called \"{nameOrId}\"; there are: {string.Join(", ", names)}");
    }

    /// <summary>Connects to a living Pod.</summary>
    /// <exception cref="CommandException">It has ended, or does not answer.</exception>
    internal static async Task<PodClient> ConnectAsync(Surroundings s, KnownPod pod, CancellationToken ct)
    {
        if (pod.IsStarting) throw new CommandException(ExitCode.Refused, $"{pod.Name} is being started this moment; try again");
        if (!pod.IsAlive)
            throw new CommandException(ExitCode.Refused, $"{pod.Name} {EndOf(pod) ?? "is dead and its end is not recorded"}; `yoi log {pod.Name}` shows what it did, `yoi restore {pod.Name}` brings it back");
        try
        {
            return await PodClient.ConnectAsync(s.Directories.Socket(pod.PodId), limit: AnswerLimit, ct: ct);
        }
        catch (TimeoutException)
        {
            throw new CommandException(ExitCode.Refused,
                $"{pod.Name} is alive and did not answer for {AnswerLimit.TotalSeconds:0} s; `yoi stop {pod.Name}` stops it all the same");
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.Refused, $"{pod.Name} is alive and its socket cannot be reached ({e.Message}); `yoi stop {pod.Name}` stops it all the same");
        }
    }

    /// <summary>How a Pod ended, if its journal says so.</summary>
    internal static string? EndOf(KnownPod pod) =>
        EndRecord.Of(pod) is { } end ? "ended: " + EntryText.EndText(end.Reason, end.By, end.Detail) : null;

    /// <summary>An argument that names Pods, completed with the names there are.</summary>
    internal static Argument<T> Argument<T>(Surroundings s, string name, string description, ArgumentArity arity, Func<KnownPod, bool>? only = null)
    {
        var argument = new Argument<T>(name) { Description = description, Arity = arity, HelpName = name };
        argument.CompletionSources.Add(_ => s.Registry.All().Where(only ?? (_ => true)).Select(pod => pod.Name).Distinct());
        return argument;
    }
}
