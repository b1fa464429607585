using System.Globalization;
using Yoi.Shared;

namespace Yoi.EndToEnd.Torture;

/// <summary>
/// A tree of Pods and what each of them does, all of it from a seed: they write, run commands, spawn, lend, send, read, wait and
/// stop. Each says <c>done</c> when its steps are used up, whatever came of them.
/// </summary>
internal sealed class GrowingTree
{
    private readonly Random _random;

    internal GrowingTree(int seed, string project, int depth = 2)
    {
        _random = new Random(seed);
        Grow("p", project, depth);
    }

    internal const string Root = "p";

    /// <summary>Names of all Pods that may come to be.</summary>
    internal List<string> Names { get; } = [];

    internal Minds Minds { get; } = new();

    private void Grow(string name, string directory, int depth)
    {
        Names.Add(name);
        Directory.CreateDirectory(directory);
        string[] children = depth == 0 ? [] : [.. "abc".Take(_random.Next(1, depth + 1)).Select(letter => name + letter)];
        foreach (var child in children) Grow(child, $"{directory}/{child}", depth - 1);
        Minds.Of(name, [.. Steps(name, directory, children)]);
    }

    private IEnumerable<Answer> Steps(string name, string directory, string[] children)
    {
        yield return Own(name, directory);
        if (children.Length > 0)
        {
            yield return Minds.Calls([.. children.Select(child => ("SpawnPod", Lend(child, $"{directory}/{child}"))), ("Write", Text(directory, "beside.txt", name))]);
            if (_random.Next(3) == 0) yield return Minds.Call("SpawnPod", Lend(children[0], $"{directory}/{children[0]}")); // In use: refused.
            for (var steps = _random.Next(2, 6); steps > 0; steps--) yield return Step(name, directory, children[_random.Next(children.Length)]);
            yield return Minds.Call("WaitForPods", new { until = "all", timeout_seconds = 5 });
            yield return Minds.Call("StopPod", new { name = children[0] });
            yield return Minds.Call("Write", Text($"{directory}/{children[0]}", "after.txt", name));
        }
        else
        {
            for (var steps = _random.Next(0, 3); steps > 0; steps--) yield return Own(name, directory);
        }
        yield return Answer.Says($"{name} has ", "done all.");
    }

    private Answer Step(string name, string directory, string child) => _random.Next(8) switch
    {
        0 => Minds.Call("SendToPod", new { name = child, message = "one thing more", mode = "queue" }),
        1 => Minds.Call("ReadPodOutput", new { name = child, wait_seconds = 1 }),
        2 => Minds.Call("ListPods", new { }),
        3 => Minds.Call("Write", Text($"{directory}/{child}", "foreign.txt", name)), // Lent: refused, as long as the child has it.
        4 => Minds.Call("StopPod", new { name = child, force = _random.Next(2) == 0 }),
        5 => Minds.Call("WaitForPods", new { until = "any", timeout_seconds = 2 }),
        6 => Minds.Call("Bash", new { command = string.Create(CultureInfo.InvariantCulture, $"echo {name} > {directory}/{child}/foreign-{_random.Next()}.txt") }), // Lent: refused by the kernel, too.
        _ => Own(name, directory),
    };

    private Answer Own(string name, string directory) => _random.Next(5) switch
    {
        // A name that must not come to be: it is moved to the quarantine.
        4 => Minds.Call("Bash", new { command = $"echo {name} > {directory}/.envrc" }),
        0 => Minds.Call("Bash", new { command = $"echo {name} >> {directory}/{name}.log" }),
        1 => Minds.Calls(("Write", Text(directory, "1.txt", name)), ("Write", Text(directory, "2.txt", name)), ("Read", new { file_path = $"{directory}/1.txt" })),
        _ => Minds.Call("Write", Text(directory, "own.txt", name)),
    };

    private object Text(string directory, string file, string by) =>
        new { file_path = $"{directory}/{file}", content = string.Create(CultureInfo.InvariantCulture, $"by {by}: {_random.Next()}\n") };

    private static object Lend(string child, string directory) =>
        new { name = child, task = $"work in {directory}", scope = new[] { new { target = directory, permission = "write" } } };
}
