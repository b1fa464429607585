using System.CommandLine;
using System.CommandLine.Parsing;
using Yoi.Runtime.Configuration;

namespace Yoi;

/// <summary>
/// What is wrong with a command line, in words that help. A word that looks like a flag and is none is an error, also where
/// a text may stand: a mistyped flag must not become a Pod's task. Behind <c>--</c> everything is text.
/// </summary>
internal static class WrongWords
{
    internal static IReadOnlyList<string> In(ParseResult parsed)
    {
        var command = parsed.CommandResult;
        var end = parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash).ToHashSet(ReferenceEqualityComparer.Instance);
        var texts = command.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Where(token => end.Contains(token)).Select(token => token.Value);
        var strangers = texts.Concat(parsed.UnmatchedTokens).Where(LooksLikeFlag).ToList();
        if (strangers.FirstOrDefault(word => Flags(command).Contains(word.Split('=')[0])) is { } late)
            return [$"{late} stands behind `--`, where everything is text; put it before that"];
        if (strangers.Count > 0)
            return [.. strangers.Select(flag => $"{HasNo(command)} flag {flag}{Hint(flag.Split('=')[0], Flags(command))}{(TakesText(command) ? "; a text that begins like a flag goes behind `--`" : "")}")];
        if (parsed.UnmatchedTokens is [var word, ..])
            return [command.Command.Subcommands.Count > 0
                ? $"{HasNo(command)} verb {word}{VerbHint(command, word)}"
                : $"{Verb(command)} does not take \"{word}\"{(TakesText(command) ? "; a text of several words goes into quotes" : Flags(command).Contains("--task") ? "; the task goes behind --task, in quotes" : "")}"];
        return [.. parsed.Errors.Select(error => Words(command, error))];
    }

    /// <summary>The parser's own words name types and stand on many lines; these are one line and name the flag.</summary>
    private static string Words(CommandResult command, ParseError error)
    {
        var what = error.SymbolResult switch
        {
            OptionResult flag => flag.Option.Name,
            ArgumentResult { Parent: OptionResult flag } => flag.Option.Name,
            ArgumentResult argument => argument.Argument.Name,
            _ => null,
        };
        var given = error.SymbolResult is { Tokens: [.., var last] } ? $"\"{last.Value}\"" : "that";
        if (what is not null && error.Message.StartsWith("Cannot parse", StringComparison.Ordinal)) return $"{what} takes a number, not {given}";
        var choices = error.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (what is not null && choices.Length > 1) return $"{what} cannot be {given}; it is one of {string.Join(", ", choices[1..].Select(choice => choice.Trim('\'')))}";
        if (what is not null && error.Message.StartsWith("Required argument", StringComparison.Ordinal)) return $"{Verb(command)} needs {what}";
        return error.Message == "Required command was not provided." ? $"{Verb(command)} needs a verb behind it: {string.Join(", ", command.Command.Subcommands.Select(verb => verb.Name))}" : error.Message;
    }

    private static bool LooksLikeFlag(string word) =>
        word.Length > 1 && word[0] == '-' && (char.IsAsciiLetter(word[1]) || (word[1] == '-' && word.Length > 2)) && !word.Any(char.IsWhiteSpace);

    /// <summary>Of one letter nobody can say what was meant.</summary>
    private static string Hint(string word, IEnumerable<string> known) => word.TrimStart('-').Length < 2 ? "" :
        ConfigReader.Nearest(word, known.Where(name => name.TrimStart('-').Length > 1).Select(name => name.Replace('-', '_'))) is { } near ? $"; did you mean {near.Replace('_', '-')}?" : "";

    /// <summary>What is no verb may be a flag without its dashes: <c>yoi version</c>.</summary>
    private static string VerbHint(CommandResult command, string word) => Flags(command).Contains("--" + word)
        ? $"; did you mean --{word}?" : Hint(word, command.Command.Subcommands.Where(verb => !verb.Hidden).Select(verb => verb.Name));

    /// <summary>The verb as it was typed, <c>yoi scopes repair</c>.</summary>
    internal static string Verb(CommandResult command) => command.Parent is CommandResult above ? $"{Verb(above)} {command.Command.Name}" : "yoi";

    private static bool TakesText(CommandResult command) => command.Command is RootCommand || command.Command.Arguments.Any(argument => argument.Name is "TASK" or "TEXT");

    private static IEnumerable<string> Flags(CommandResult command) =>
        command.Command.Options.SelectMany(option => option.Aliases.Append(option.Name));

    private static string HasNo(CommandResult command) => command.Command is RootCommand ? "there is no" : $"{Verb(command)} has no";
}
