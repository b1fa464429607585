using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// How a command begins at every level: a shell that takes on the limits, says that it is ready, waits, and becomes the command; and the
/// environment that it has.
/// </summary>
internal static class CommandGate
{
    internal const string Program = "/bin/bash";

    /// <summary>What the gate says when the view stands, and what it waits for. At the end of its stdin it ends, having run nothing.</summary>
    internal const string ReadyLine = "yoi: at the gate\n", GoLine = "go\n";

    private const int OpenFiles = 4096;

    /// <summary>Where a shell that came to its gate without a command finds it.</summary>
    internal const int HandedFd = 3;

    // One shell is gate and command: $1 is the command, $2 where it leaves its working directory, $3 where it begins, and if that was
    // removed meanwhile, $4. As text it is only ever an argument, or a word of a file. All in one line, so that the lines in messages are the command's.
    private const string Ready = """
        printf 'yoi: at the gate\n'; IFS= read -r yoi && [ "$yoi" = go ] || exit 125
        """;

    private const string Take = """
        mapfile -d '' -t -u 3 yoi && exec 3<&- || exit 125; set -- "${yoi[@]}"; unset yoi; SECONDS=0
        """;

    private const string Begin = """
        builtin cd -P -- "$3" 2>/dev/null || { builtin cd -P -- "$4" 2>/dev/null; printf '[yoi] %s cannot be entered any more; the working directory is %s\n' "$3" "$PWD"; }; exec </dev/null; yoi=$1; trap "builtin pwd -P 2>/dev/null >${2@Q}" EXIT; set --; unset OLDPWD; eval "$yoi"
        """;

    /// <summary>Variables that may pass from the Pod to a command: where things are and how text is shown.</summary>
    private static readonly string[] Passed =
        ["LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "DOTNET_ROOT", "JAVA_HOME", "GOROOT", "PYENV_ROOT", "NVM_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

    /// <summary>With a network: how it is reached. Each also in small letters.</summary>
    private static readonly string[] PassedWithNetwork =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"];

    /// <summary>For tools that would ask a server, and take its silence for a fault of the project.</summary>
    private static readonly string[] WithoutNetwork = ["NuGetAudit=false", "npm_config_audit=false", "npm_config_fund=false", "npm_config_update_notifier=false", "npm_config_fetch_retries=0", "PIP_RETRIES=0", "PIP_DISABLE_PIP_VERSION_CHECK=1"];

    /// <summary>Lets a command go, once; of no effect on one that was killed at its gate, or whose gate is closed.</summary>
    /// <exception cref="LinuxException">It cannot be told.</exception>
    internal static void Open(SafeFileHandle gate)
    {
        var go = Encoding.ASCII.GetBytes(GoLine);
        try
        {
            if (Libc.Write(gate, go, go.Length) != go.Length && Marshal.GetLastPInvokeError() is not Errno.Pipe) throw Libc.Failed("write to the gate");
        }
        catch (ObjectDisposedException)
        {
            return;
        }
        gate.Dispose();
    }

    /// <summary>The shell and its arguments, the command among them.</summary>
    /// <param name="temp">Where the command leaves its working directory; null if nobody asks for it.</param>
    /// <param name="cwd">Where it begins.</param>
    /// <param name="home">Where it begins if that is not there any more.</param>
    internal static IReadOnlyList<string> Arguments(CommandLimits limits, string command, string? temp, string cwd, string home)
    {
        var words = Words(command, temp, cwd, home);
        return [.. Shell($"{Limits(limits, ownUsers: true)}; {Enter(words.Count)}; {Ready}; {Begin}"), .. words];
    }

    /// <summary>The same without a command: the shell comes to its gate, and finds the command in a file when it is let go.</summary>
    internal static IReadOnlyList<string> Waiting(CommandLimits limits) => Shell($"{Limits(limits, ownUsers: false)}; {Enter(0)}; {Ready}; {Take}; {Begin}");

    /// <summary>What such a file has in it; each word ends with NUL.</summary>
    internal static IReadOnlyList<string> Words(string command, string? temp, string cwd, string home) =>
        [command, temp is null ? "/dev/null" : $"{temp}/{PrivatePlaces.WorkingDirectoryFile}", cwd, home];

    /// <summary>The same, and the shell goes into control groups before it says that it is ready.</summary>
    /// <param name="first">The number of the descriptor of the first one's entrance; the others follow.</param>
    internal static IReadOnlyList<string> Entering(IReadOnlyList<string> arguments, int first, int count) =>
        [.. arguments, .. Enumerable.Range(first, count).Select(number => number.ToString(CultureInfo.InvariantCulture))];

    /// <summary>All that a command gets.</summary>
    internal static IReadOnlyList<string> Environment(Func<string, string?> environment, string home, string temp, bool network)
    {
        List<string> variables =
        [
            "PATH=" + PathOf(environment), "HOME=" + home, "TMPDIR=" + temp, "SHELL=/bin/bash", "TERM=dumb",
            "PAGER=cat", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "DOTNET_NOLOGO=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1", "MSBUILDDISABLENODEREUSE=1",
            "DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE=1", .. network ? [] : WithoutNetwork,
        ];
        foreach (var name in Passed)
            if (environment(name) is { Length: > 0 and < 4096 } value) variables.Add($"{name}={value}");
        if (!network) return variables;
        foreach (var name in PassedWithNetwork.Concat(PassedWithNetwork.Select(name => name.ToLowerInvariant())))
            if (environment(name) is { Length: > 0 and < 4096 } value && !value.Contains('@')) variables.Add($"{name}={value}"); // Before an @ stands a password.
        return variables;
    }

    /// <summary>The PATH that commands get.</summary>
    internal static string PathOf(Func<string, string?> environment) =>
        environment("PATH") is { Length: > 0 } path ? path : "/usr/local/bin:/usr/bin:/bin";

    private static IReadOnlyList<string> Shell(string text) => [Program, "--noprofile", "--norc", "-c", text, "bash"];

    // Root is not held to a number of processes; where a control group can be had, that holds everybody. Without a namespace of users all processes
    // of the user would be counted: their number is not limited there.
    private static string Limits(CommandLimits limits, bool ownUsers) =>
        $"{{ {Limit('c', 0)} {Limit('n', OpenFiles)} {(ownUsers ? Limit('u', limits.Processes) : "")} {Limit('d', limits.MemoryMb * 1024L)} {Limit('f', limits.FileMb * 1024L)} }} 2>/dev/null";

    // What follows the words are descriptors of the control groups that it goes into.
    private static string Enter(int words) => string.Create(CultureInfo.InvariantCulture, $$"""for yoi in "${@:{{words + 1}}}"; do printf 0 >&"$yoi" && exec {yoi}>&- || exit 125; done""");

    private static string Limit(char what, long most) => string.Create(CultureInfo.InvariantCulture, $"ulimit -{what} {most};");
}
