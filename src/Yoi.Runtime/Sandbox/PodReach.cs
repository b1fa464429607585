using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What the kernel makes of a Pod's policy, told before anything is run: whether it has Bash, and what commands can do less than its file
/// tools. From the same object that holds both.
/// </summary>
/// <param name="NoBash">Why it cannot run commands; null if it can.</param>
/// <param name="Narrower">One line for each thing that a file tool may do and a command may not.</param>
internal sealed record PodReach(string Level, bool Network, string? NoBash, IReadOnlyList<string> Narrower)
{
    internal static PodReach Of(SandboxPolicy policy, string level)
    {
        var none = level switch
        {
            SandboxLevel.Kernel => Bubblewrap.WhyNot(policy),
            SandboxLevel.Partial => Landlock.Refusal(policy),
            _ => "the sandbox level is " + level,
        };
        return new(level, policy.Network, none, none is null ? [.. Less(policy.Access)] : []);
    }

    /// <summary>One line and those below it, as a model reads it.</summary>
    internal string Text => NoBash is { } why
        ? $"Bash: none, because {why}"
        : string.Join('\n', Narrower.Prepend($"Bash: in a sandbox (level {Level}) that holds exactly this scope; {(Network ? "with the network" : "no network")}"));

    private static IEnumerable<string> Less(ScopePolicy access)
    {
        foreach (var rule in access.Rules.Allow.Where(rule => rule.Permission == Permission.Write))
        {
            if (File.Exists(rule.Target)) yield return $"  {PathText.Shown(rule.Target)}: Bash can write it in place, not replace it (`sed -i` fails)";
            else if (!Directory.Exists(rule.Target)) yield return $"  {PathText.Shown(rule.Target)}: not there yet; Bash can write it when a file tool has made it";
            else if (!rule.Recursive) yield return $"  {PathText.Shown(rule.Target)}: Bash can only read its files, and not what is made in it meanwhile";
        }
    }

    /// <summary>
    /// What lies in the writable part of a scope before a Pod starts and reaches beyond it, one line each: programs that git runs on the host, and files with
    /// names elsewhere.
    /// </summary>
    internal static IReadOnlyList<string> Beyond(SandboxPolicy policy, string level)
    {
        const int most = 8, named = 5;
        var look = WritableLook.Of(policy.Access);
        var programs = GitPrograms.In(policy.Access, policy.Platform.Home, look.Repositories);
        List<string> lines = [.. programs.Take(most)];
        if (programs.Count > most) lines.Add($"and {programs.Count - most} more settings of git that name programs in this scope");
        // A file tool replaces a file, and its other names keep what it was.
        if (look.Shared.Count > 0 && SandboxLevel.HasBash(level))
            lines.Add($"{look.Shared.Count} of the files that can be written in this scope have other names outside of it (hard links); what a command writes there is in both: "
                + string.Join(", ", look.Shared.Take(named).Select(PathText.Shown)) + (look.Shared.Count > named ? ", …" : ""));
        return lines;
    }

    /// <summary>What this level leaves open and why, for the human.</summary>
    internal static IReadOnlyList<string> NotHeld(string level, bool network)
    {
        if (!SandboxLevel.HasBash(level)) return ["nothing is started: the file tools hold the scope by themselves"];
        string[] always =
        [
            "what a command leaves in the scope (a script, a Makefile) is run by whoever runs it", "space on the scope's disk is not limited: the kernel has no limit for a directory",
            "timing and load of the machine can be seen: it is shared",
        ];
        if (level == SandboxLevel.Partial)
            always = ["names outside can be seen, and modes and times of the user's files there changed: Landlock has no right for that", "the number of processes is limited only where a control group can be had", .. always];
        else if (!network)
            always = ["a socket of another network namespace (a container's) in what it may only read, and one that is made while it runs, can be reached: the kernel lists them to nobody else", .. always];
        return network ? ["with the network, what it can read it can send", .. always] : always;
    }
}
