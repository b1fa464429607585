using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Yoi.Commands;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>From arguments to an exit code: the list of verbs, and how an exception reads on stderr.</summary>
internal static class FrontDoor
{
    private static readonly ParserConfiguration Parsing = new() { ResponseFileTokenReplacer = null };

    /// <summary>Adding a verb touches this list and its own file.</summary>
    internal static RootCommand Verbs(Surroundings s)
    {
        var root = new RootCommand("""
            Yoi runs LLM agents as Pods: each an operating system process with a journal and a scope.
            `yoi demo` shows it without a key, `yoi run 'what does this do?'` starts one here, `yoi VERB --help` says more.
            """)
        {
            RunCommand.Create(s), StartCommand.Create(s), PsCommand.Create(s), SendCommand.Create(s), ReadCommand.Create(s), WaitCommand.Create(s),
            StopCommand.Create(s), RestoreCommand.Create(s), ResumeCommand.Create(s), AttachCommand.Create(s), LogCommand.Create(s), ScopesCommand.Create(s), RmCommand.Create(s), RepairCommand.Create(s), GcCommand.Create(s),
            DemoCommand.Create(s), DoctorCommand.Create(s), CompletionCommand.Create(s), ConfigCommand.Create(s),
        };
        root.SetAction(result => new HelpAction().Invoke(result));
        // A slash is a path here, and a question mark a pattern of the shell.
        foreach (var help in root.Options.OfType<HelpOption>())
            foreach (var foreign in help.Aliases.Where(alias => alias.StartsWith('/') || alias.EndsWith('?')).ToList()) help.Aliases.Remove(foreign);
        return root;
    }

    internal static ParseResult Parse(Surroundings s, IReadOnlyList<string> args) => Verbs(s).Parse(args, Parsing);

    internal static async Task<int> RunAsync(IReadOnlyList<string> args, Surroundings s, CancellationToken ct)
    {
        if (args is ["serve"]) throw new CommandException(ExitCode.Usage, "serve is internal: it gets a Pod's launch document on stdin; `yoi run` and `yoi start` call it");
        if (args is ["keep"]) throw new CommandException(ExitCode.Usage, "keep is internal: a Pod starts it to keep its commands");
        var parsed = Parse(s, args is ["help", ..] ? [.. args.Skip(1), "--help"] : args);
        var isVerb = parsed.Action is ParseErrorAction || parsed.Action == parsed.CommandResult.Command.Action;
        if (isVerb && WrongWords.In(parsed) is { Count: > 0 } wrong)
        {
            foreach (var words in wrong) s.Screen.Error(words);
            s.Screen.Remark($"`{WrongWords.Verb(parsed.CommandResult)} --help` shows what there is");
            return ExitCode.Usage;
        }
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, ct);
    }

    /// <summary>An exception as words and an exit code; what nobody foresaw is shown whole.</summary>
    internal static int Explain(Surroundings s, Exception exception)
    {
        var code = Code(exception);
        if (code == ExitCode.Cancelled) return code;
        if (code == ExitCode.Fault)
        {
            s.Screen.Error($"a fault of Yoi itself, please report it: {exception}");
            return code;
        }
        foreach (var line in exception.Message.Split('\n')) s.Screen.Error(line);
        return code;
    }

    /// <summary>One of several Pods met something that was foreseen: the others go on.</summary>
    internal static bool IsRefusal(Exception exception) => Code(exception) is not (ExitCode.Fault or ExitCode.Cancelled);

    internal static int Code(Exception exception) => exception switch
    {
        CommandException e => e.ExitCode,
        ConfigException or ModelChoiceException => ExitCode.Usage,
        OperationCanceledException => ExitCode.Cancelled,
        LaunchException { Step: PrivateDirectories.Step } => ExitCode.RunFailed,
        LaunchException or ScopeException or StopException or RepairException => ExitCode.Refused,
        PodRefusedException e => e.Error.Code switch { ErrorCode.DiskError => ExitCode.Disk, ErrorCode.ProviderError => ExitCode.Provider, _ => ExitCode.Refused },
        JournalException => ExitCode.Disk,
        TimeoutException or IOException or UnauthorizedAccessException => ExitCode.RunFailed,
        _ => ExitCode.Fault,
    };
}
