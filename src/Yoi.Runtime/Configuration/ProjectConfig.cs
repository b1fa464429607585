using Yoi.Protocol;

namespace Yoi.Runtime.Configuration;

/// <summary>The settings that come with a repository: where they are found, and the table of what they may say.</summary>
internal static class ProjectConfig
{
    /// <summary>
    /// <c>.yoi/yoi.jsonc</c> or <c>yoi.jsonc</c> in the nearest directory upwards; not above the repository's root or the user's home.
    /// </summary>
    /// <exception cref="ConfigException">A directory has both.</exception>
    internal static string? Find(string cwd, string home)
    {
        for (var directory = cwd; directory is not null; directory = System.IO.Path.GetDirectoryName(directory))
        {
            var inner = System.IO.Path.Join(directory, ".yoi", ConfigReader.FileName);
            var plain = System.IO.Path.Join(directory, ConfigReader.FileName);
            var (hasInner, hasPlain) = (File.Exists(inner), File.Exists(plain));
            if (hasInner && hasPlain) throw new ConfigException(plain, [$"there is also {inner}; keep one"]);
            if (hasInner || hasPlain) return hasInner ? inner : plain;
            if (directory == home || System.IO.Path.Exists(System.IO.Path.Join(directory, ".git"))) return null;
        }
        return null;
    }

    /// <summary>Lays a project's settings over the user's.</summary>
    /// <exception cref="ConfigException">It asks for more than a project may; every such key is named.</exception>
    internal static Settings Narrow(Settings user, string file, YoiConfig project, string userFile, string home)
    {
        List<string> problems = [];
        void Refuse(bool given, string key, string why)
        {
            if (given) problems.Add($"`{key}` may not be set by a project: {why}; if you want it, put it in {userFile}");
        }
        Refuse(project.Providers is not null, "providers", "it would let a repository choose where your code and keys are sent, or what is run for a key");
        Refuse(project.Timing is not null, "timing", "limits of time are the user's");
        Refuse(project.Scope?.Write is not null, "scope.write", "a project may only deny");
        Refuse(project.Scope?.Read is not null, "scope.read", "a project may only deny");
        Refuse(project.Scope?.BuiltInDenies is not null, "scope.built_in_denies", "only the human removes what protects the human");
        Refuse(project.Sandbox is not null, "sandbox", "how commands are held is the user's");
        Refuse(project.PlatformSet is not null, "platform_set", "what every Pod may read is the user's");
        Refuse(project.Retention is not null, "retention", "how long your Pods' files stay is yours");
        Refuse(project.Network is not null, "network", "only the human gives the network");
        // A model that is not the user's shuts nobody out: the user's own is taken.
        var whyNotModel = project.Model is { } model ? WhyNotModel(user, model) : null;

        int Lower(string key, int? wanted, int limit)
        {
            Refuse(wanted > limit, key, $"{wanted} is above your limit of {limit}");
            return Math.Min(wanted ?? limit, limit);
        }
        int? LowerOrSame(string key, int? wanted, int? limit) => wanted is null ? limit : Lower(key, wanted, limit ?? int.MaxValue);
        var limits = new PodLimits(
            Lower("limits.turns_per_run", project.Limits?.TurnsPerRun, user.Limits.TurnsPerRun),
            Lower("limits.children", project.Limits?.Children, user.Limits.Children),
            Lower("limits.depth", project.Limits?.Depth, user.Limits.Depth),
            Lower("limits.pods_in_tree", project.Limits?.PodsInTree, user.Limits.PodsInTree),
            LowerOrSame("limits.tokens", project.Limits?.Tokens, user.Limits.Tokens));
        var (commands, asked) = (user.Commands, project.Limits?.Commands);
        commands = new CommandLimits(
            Lower("limits.commands.processes", asked?.Processes, commands.Processes), Lower("limits.commands.memory_mb", asked?.MemoryMb, commands.MemoryMb),
            Lower("limits.commands.file_mb", asked?.FileMb, commands.FileMb), Lower("limits.commands.temp_mb", asked?.TempMb, commands.TempMb),
            Lower("limits.commands.output_mb", asked?.OutputMb, commands.OutputMb), Lower("limits.commands.seconds", asked?.Seconds, commands.Seconds));
        var narrowed = user with
        {
            Model = whyNotModel is null ? project.Model ?? user.Model : user.Model,
            Ignored = whyNotModel is null ? [] : [$"{file} asks for the model {project.Model}, and {whyNotModel}: yours is used; name another with --model, or the provider in {userFile}"],
            Limits = limits,
            Commands = commands,
            MaxOutputTokens = LowerOrSame("max_output_tokens", project.MaxOutputTokens, user.MaxOutputTokens ?? new ModelChoice("", "").MaxOutputTokens),
            ThinkingTokens = LowerOrSame("thinking_tokens", project.ThinkingTokens, user.ThinkingTokens),
            Role = project.Role is null ? user.Role : user.Role is null ? project.Role : user.Role + "\n\n" + project.Role,
            Scope = user.Scope with
            {
                DenyWrite = Denied(user.Scope.DenyWrite, project.Scope?.DenyWrite, file, home),
                DenyRead = Denied(user.Scope.DenyRead, project.Scope?.DenyRead, file, home),
            },
        };
        return problems.Count > 0 ? throw new ConfigException(file, problems) : narrowed;
    }

    private static IReadOnlyList<string>? Denied(IReadOnlyList<string>? user, IReadOnlyList<string>? project, string file, string home) =>
        project is null ? user : [.. user ?? [], .. project.Select(path => System.IO.Path.GetFullPath(Settings.Expand(path, home), RootOf(file)))];

    /// <summary>The directory that a project's relative paths start at.</summary>
    private static string RootOf(string file)
    {
        var directory = System.IO.Path.GetDirectoryName(file)!;
        return System.IO.Path.GetFileName(directory) == ".yoi" ? System.IO.Path.GetDirectoryName(directory)! : directory;
    }

    private static string? WhyNotModel(Settings user, string model)
    {
        if (model == "scripted" || model.StartsWith("scripted:", StringComparison.Ordinal)) return "a script is the human's to choose";
        var provider = model.Split('/')[0];
        return provider == user.Model?.Split('/')[0] || user.Providers.ContainsKey(provider)
            ? null : $"\"{provider}\" is no provider of yours";
    }
}
