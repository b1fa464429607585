using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Settings of git that name a program which a scope may write. They were the user's before a Pod started, so no deny keeps them, but the
/// program is the Pod's to change, and a later git on the host runs it. Reads settings of the user and of repositories, and what they include.
/// </summary>
internal sealed class GitPrograms
{
    private const int MostIncludes = 10;

    // Between the words of a line that git gives to a shell.
    private static readonly char[] Between = [' ', '\t', '\n', '"', '\'', ';', '|', '&', '(', ')', '<', '>', '`', '='];

    private readonly ScopePolicy _policy;
    private readonly string _home;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);
    private readonly List<string> _found = [];

    private GitPrograms(ScopePolicy policy, string home) => (_policy, _home) = (policy, home);

    /// <summary>One line for each: the program, the file and the key.</summary>
    /// <param name="repositories">What is called <c>.git</c>, and bare repositories, in the writable part of the scope.</param>
    internal static IReadOnlyList<string> In(ScopePolicy policy, string home, IEnumerable<string> repositories)
    {
        var found = new GitPrograms(policy, home);
        var roots = policy.Rules.Allow.Where(rule => rule.Permission == Protocol.Permission.Write).Select(rule => rule.Target);
        List<string> all = [.. repositories.Concat(roots.Select(GitNames.Around).OfType<string>()).Distinct()];
        foreach (var git in all)
            foreach (var file in GitNames.SettingsOf(git)) found.Read(file, [GitNames.TreeOf(git)], 0);
        foreach (var file in new[] { "/etc/gitconfig", ScopePath.Join(home, ".gitconfig"), ScopePath.Join(home, ".config/git/config") }) found.Read(file, [.. all.Select(GitNames.TreeOf)], 0);
        return [.. found._found.Distinct()];
    }

    private void Read(string file, string[] trees, int includes)
    {
        if (!_read.Add($"{file}\0{string.Join('\0', trees)}") || GitNames.Text(file) is not { } text) return;
        foreach (var (name, value) in GitSettings.Read(text))
        {
            var (group, key) = (name.Split('.')[0], name[(name.LastIndexOf('.') + 1)..]);
            if (group is "include" or "includeif" && key == "path")
            {
                var path = GitNames.From(Door.DirectoryOf(file), AtHome(value));
                if (IsWritable(path)) Say("reads settings from", path, file, name);
                else if (includes < MostIncludes) Read(path, trees, includes + 1);
            }
            else if (Runs(group, key, value))
                foreach (var path in (IsPath(key) ? trees.Select(tree => GitNames.From(tree, AtHome(value))) : Named(value, trees)).Where(IsWritable)) Say("runs", path, file, name);
        }
    }

    private void Say(string what, string path, string file, string name) =>
        _found.Add($"git {what} {PathText.Shown(path)} ({PathText.Shown(name)} in {PathText.Shown(file)}), which can be written in this scope: look at it before you use git there");

    private static bool Runs(string group, string key, string value) => (group, key) switch
    {
        ("core", "fsmonitor" or "pager" or "editor" or "sshcommand" or "askpass" or "gitproxy" or "alternaterefscommand" or "hookspath") => true,
        ("alias", _) or ("submodule", "update") => value.StartsWith('!'),
        ("pager", _) or ("sequence", "editor") or ("interactive", "difffilter") or ("uploadpack", "packobjectshook") or ("init", "templatedir") => true,
        ("filter", "clean" or "smudge" or "process") or ("diff", "external" or "command" or "textconv") or ("merge", "driver") => true,
        ("difftool" or "mergetool" or "browser" or "man" or "guitool" or "trailer" or "lfs", "cmd" or "command" or "path") => true,
        ("credential", "helper") or ("gpg", "program" or "defaultkeycommand") or ("remote", "uploadpack" or "receivepack") or ("tar", "command") => true,
        ("imap", "tunnel") or ("sendemail", "smtpserver" or "tocmd" or "cccmd" or "headercmd" or "sendmailcmd") => true,
        _ => false,
    };

    /// <summary>True where git takes the value as it is; else it gives it to a shell.</summary>
    private static bool IsPath(string key) => key is "hookspath" or "templatedir" or "path";

    /// <summary>Files that a line names: whole paths, and those relative to a work tree if they are there. Where the shell looks on PATH is not ours to say.</summary>
    private IEnumerable<string> Named(string line, string[] trees)
    {
        foreach (var (word, index) in line.TrimStart('!').Split(Between, StringSplitOptions.RemoveEmptyEntries).Select(AtHome).Select((word, index) => (word, index)))
        {
            if (word.StartsWith('/')) yield return ScopePath.Normalize(word);
            else if (index > 0 || word.Contains('/'))
                foreach (var path in trees.Select(tree => GitNames.From(tree, word)).Where(path => word.StartsWith("./", StringComparison.Ordinal) || Path.Exists(path))) yield return path;
        }
    }

    private string AtHome(string word)
    {
        foreach (var start in new[] { "~/", "$HOME/", "${HOME}/" })
            if (word.StartsWith(start, StringComparison.Ordinal)) return ScopePath.Join(_home, word[start.Length..]);
        return word;
    }

    /// <summary>By its name or by what it leads to: a link can be replaced as well.</summary>
    private bool IsWritable(string path) =>
        ScopePath.Problem(path) is null && (_policy.AccessAt(path) == Access.Write || (Libc.RealPath(path) is { } real && _policy.AccessAt(real) == Access.Write));
}
