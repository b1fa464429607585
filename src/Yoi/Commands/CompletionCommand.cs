using System.CommandLine;

namespace Yoi.Commands;

/// <summary><c>yoi completion SHELL</c>: a script that asks <c>yoi</c> itself, so it always knows every verb, flag and Pod.</summary>
internal static class CompletionCommand
{
    internal static Command Create(Surroundings s)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print a completion script: `source <(yoi completion bash)`.") { shell };
        command.SetAction(parsed =>
        {
            s.Screen.Write(Script(parsed.GetRequiredValue(shell)));
            return ExitCode.Ok;
        });
        return command;
    }

    internal static string Script(string shell) => shell switch
    {
        "bash" => """
            _yoi() {
                local IFS=$'\n'
                COMPREPLY=($(compgen -W "$(yoi "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
            }
            complete -o default -F _yoi yoi

            """,
        "zsh" => """
            #compdef yoi
            _yoi() {
                local -a found
                local line="yoi ${(j: :)words[2,CURRENT-1]} $PREFIX"
                found=("${(@f)$(yoi "[suggest:${#line}]" "$line" 2>/dev/null)}")
                compadd -- "${(@)found:#}" || _files
            }
            compdef _yoi yoi

            """,
        _ => """
            function __yoi
                set -l line (commandline -cp | string collect)
                set -l found (yoi "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null)
                if string length -q -- $found
                    printf '%s\n' $found
                else
                    __fish_complete_path (commandline -ct)
                end
            end
            complete -c yoi -f -a '(__yoi)'

            """,
    };
}
