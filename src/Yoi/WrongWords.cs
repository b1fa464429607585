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
        if (strangers.Count > 0)
            return [.. strangers.Select(flag => $"{HasNo(command)} flag {flag}{Hint(flag.Split('=')[0], Flags(command))}; a text that begins like a flag goes behind `--`")];
        if (parsed.UnmatchedTokens is [var word, ..])
            return [command.Command.Subcommands.Count > 0
                ? $"{HasNo(command)} verb {word}{Hint(word, command.Command.Subcommands.Where(verb => !verb.Hidden).Select(verb => verb.Name))}"
                : $"yoi {command.Command.Name} does not take \"{word}\"; a text of several words goes into quotes"];
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
        if (what is not null && error.Message.StartsWith("Required argument", StringComparison.Ordinal)) return $"yoi {command.Command.Name} needs {what}";
        return error.Message == "Required command was not provided." ? $"yoi {command.Command.Name} needs one of {string.Join(", ", command.Command.Subcommands.Select(verb => verb.Name))} behind it" : error.Message;
    }

    private static bool LooksLikeFlag(string word) =>
        word.Length > 1 && word[0] == '-' && (char.IsAsciiLetter(word[1]) || (word[1] == '-' && word.Length > 2)) && !word.Any(char.IsWhiteSpace);

    private static string Hint(string word, IEnumerable<string> known) =>
        ConfigReader.Nearest(word, known.Select(name => name.Replace('-', '_'))) is { } near ? $"; did you mean {near.Replace('_', '-')}?" : "";

    private static IEnumerable<string> Flags(CommandResult command) =>
        command.Command.Options.SelectMany(option => option.Aliases.Append(option.Name));

    private static string HasNo(CommandResult command) => command.Command is RootCommand ? "there is no" : $"yoi {command.Command.Name} has no";
}
