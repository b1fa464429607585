using System.CommandLine;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary>
/// <c>yoi rm NAME…</c>: removes the files of ended Pods and leaves a tombstone. Refused for what lives, still holds a
/// path, has no recorded end, has a living spawner that may not have read it to its end, or living Pods below it, whose place in the
/// tree nothing else would tell.
/// </summary>
internal static class RmCommand
{
    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods.", ArgumentArity.ZeroOrMore, pod => !pod.IsAlive);
        var allEnded = new Option<bool>("--all-ended") { Description = "Every Pod that has ended." };
        var command = new Command("rm", "Remove the files of ended Pods; a tombstone stays.") { names, allEnded };
        command.Validators.Add(result =>
        {
            if (result.GetValue(allEnded) == (result.GetValue(names) is { Length: > 0 })) result.AddError("name the Pods to remove, or give --all-ended");
        });
        command.SetAction(parsed =>
        {
            if (!parsed.GetValue(allEnded))
            {
                var pods = parsed.GetValue(names)!.Select(name => PodFinder.Find(s, name)).ToList();
                foreach (var pod in pods)
                    if (WhyNot(s, pod) is { } why) throw new CommandException(ExitCode.Refused, why);
                foreach (var pod in pods) Remove(s, pod);
                return ExitCode.Ok;
            }
            foreach (var pod in s.Registry.All().Where(pod => !pod.IsAlive))
            {
                if (WhyNot(s, pod) is { } why) s.Screen.Remark("kept: " + SafeText.Of(why));
                else Remove(s, pod);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static string? WhyNot(Surroundings s, KnownPod pod)
    {
        if (pod.IsAlive) return $"{pod.Name} is alive; `yoi stop {pod.Name}` first";
        if (s.Table.Read().Pods.Any(row => row.PodId == pod.PodId)) return $"{pod.Name} still holds paths in the scope table; `yoi stop {pod.Name}` gives them back";
        if (pod.Journal.First()?.Entry is not Entry.PodCreated created) return null;
        if (pod.Journal.Last()?.Entry is not Entry.PodEnded) return $"the end of {pod.Name} is not recorded; `yoi stop {pod.Name}` verifies and records it";
        if (new PodTree(s.Registry, s.Table).LivingBelow(pod) is [.., var below]) return $"{below.Name}, below {pod.Name}, is alive; `yoi stop {pod.Name}` stops what is left of its tree";
        return created.Spawner is { } spawner && s.Registry.All().FirstOrDefault(other => other.PodId == spawner.PodId) is { IsAlive: true }
            ? $"{spawner.Name}, which spawned {pod.Name}, is alive and may still read it; `yoi stop {spawner.Name}` first" : null;
    }

    private static void Remove(Surroundings s, KnownPod pod)
    {
        var last = pod.Journal.Last();
        var end = last?.Entry is Entry.PodEnded ended ? EntryText.EndText(ended.Reason, ended.By, ended.Detail) : null;
        Bury(s, new Tombstone(pod.PodId, pod.Name, end, last?.Seq ?? 0, s.Time.GetUtcNow()));
        foreach (var leftover in new[] { s.Directories.Socket(pod.PodId), s.Directories.Token(pod.PodId) })
            if (File.Exists(leftover)) File.Delete(leftover);
        Directory.Delete(pod.Directory, recursive: true);
        s.Screen.Line($"removed {pod.Name} ({pod.PodId})");
    }

    /// <summary>The tombstone is whole and on disk before anything is removed.</summary>
    private static void Bury(Surroundings s, Tombstone tombstone)
    {
        var directory = s.Directories.State + "/tombstones";
        PrivateFile.CreateDirectory(directory);
        PrivateFile.Replace($"{directory}/{tombstone.Name}.{tombstone.Id}.json", JsonSerializer.SerializeToUtf8Bytes(tombstone, TerminalJson.Default.Tombstone), durable: true);
    }
}
