using System.Text.RegularExpressions;
using Xunit;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>The completion scripts in the shells that they are for: a verb, a flag and a Pod's name.</summary>
public sealed partial class CompletionTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private const string Bash = """
        source <(yoi completion bash)
        for line in 'yoi sta' 'yoi run --deny' 'yoi log my-'; do
            COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _yoi
            printf '%s\n' "LINE:$line" "${COMPREPLY[@]}"
        done
        """;

    private const string Fish = """
        yoi completion fish | source
        for line in 'yoi sta' 'yoi run --deny' 'yoi log my-' 'yoi run --role ../scr'
            echo "LINE:$line"
            complete -C $line
        end
        """;

    /// <summary>
    /// Completion widgets need a line editor: zsh drives one in a terminal of its own. Each line waits until the editor says that it
    /// reads: before that the terminal itself would take the line, and ^U with it.
    /// </summary>
    private const string Zsh = """
        zmodload zsh/zpty
        zpty shell 'zsh -f -i'
        zpty -w shell "PS1='' PROMPT_EOL_MARK=''; autoload -Uz compinit; compinit -u -d $HOME/dump; source <(yoi completion zsh)"
        zpty -w shell "LISTMAX=1000; zstyle ':completion:*' menu no; zle-line-init() { print -rn -- 're''ads>' }; zle -N zle-line-init"
        for line in 'yoi sta' 'yoi run --deny' 'yoi log my-' 'true | yoi run --deny'; do
            print -r -- "LINE:$line"
            zpty -r -m shell ignored '*reads>*'
            zpty -w -n shell $line$'\t\t\x15'"echo e''nd"$'\n'
            zpty -r -m shell shown '*end*'
            print -r -- $shown
        done
        """;

    [Theory]
    [InlineData("bash", "--norc", "-c", Bash), InlineData("fish", "--no-config", "-c", Fish), InlineData("zsh", "-f", "-c", Zsh)]
    public async Task The_shell_itself_completes_verbs_flags_and_names_of_Pods(string shell, params string[] args)
    {
        Needs.Programs(shell);
        _room.Variable("PATH", Path.GetDirectoryName(YoiRoom.Program) + ":" + Environment.GetEnvironmentVariable("PATH"));
        _room.Write("script.json", """{ "pods": { "*": { "commands": true } } }""");
        (await _room.RunAsync("start", "my-helper", "--model", "scripted:../script.json")).Expect(0);
        await using var process = _room.Start(shell, args);
        process.EndInput();
        var said = (await process.EndAsync()).Expect(0).Out;
        (await _room.RunAsync("stop", "my-helper")).Expect(0);
        var lines = Drawing().Replace(said, "").Split("LINE:");
        foreach (var (line, found) in new[] { ("yoi sta", "start"), ("yoi run --deny", "--deny-write"), ("yoi run --deny", "--deny-read"), ("yoi log my-", "my-helper") })
            Assert.Contains(lines, part => part.StartsWith(line + "\n", StringComparison.Ordinal) && part[line.Length..].Contains(found, StringComparison.Ordinal));
        if (shell == "fish") Assert.Contains(lines, part => part.StartsWith("yoi run --role ../scr\n", StringComparison.Ordinal) && part.Contains("../script.json", StringComparison.Ordinal));
        // Behind a pipe, too: the editor's buffer begins with another command there.
        if (shell == "zsh") Assert.Contains(lines, part => part.StartsWith("true | yoi run --deny\n", StringComparison.Ordinal) && part.Contains("--deny-write", StringComparison.Ordinal));
    }

    /// <summary>What a terminal would obey: escape sequences, bells and the carriage's way back.</summary>
    [GeneratedRegex(@"\e\[[0-9;?]*[A-Za-z]|\e[=>]|[\a\b\r]")]
    private static partial Regex Drawing();
}
