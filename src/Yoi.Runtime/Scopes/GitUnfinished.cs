using System.Text;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// What git runs when somebody goes on with what was left in the middle (<c>git rebase --continue</c>): lines of the list of what is to be done,
/// and the program of a strategy. Unlike hooks these files come and go as git is used, so commands may write them, and they are looked at afterwards.
/// </summary>
internal static class GitUnfinished
{
    /// <summary>Below a repository's own directory.</summary>
    private const string Todo = "rebase-merge/git-rebase-todo", Strategy = "rebase-merge/strategy", Options = "sequencer/opts";

    internal static readonly IReadOnlyList<string> Names = [Todo, Strategy, Options];

    /// <summary>Those that git has itself: of another it runs the program <c>git-merge-NAME</c>, by a path if the name has slashes.</summary>
    private static readonly string[] Known = ["ort", "recursive", "resolve", "octopus", "ours", "subtree"];

    /// <summary>The text without what git would run, and what was left out.</summary>
    internal static (string Kept, IReadOnlyList<string> Left) Inert(string name, string text)
    {
        var kept = new StringBuilder();
        List<string> left = [];
        foreach (var line in text.Split('\n'))
        {
            if (Runs(name, line)) left.Add(line.Trim());
            else kept.Append(line).Append('\n');
        }
        if (kept.Length > 0) kept.Length--;
        return (kept.ToString(), left);
    }

    private static bool Runs(string name, string line) => name switch
    {
        Todo => string.Concat(line.TrimStart().TakeWhile(char.IsAsciiLetter)) is "exec" or "x",
        Strategy => line.Trim().Length > 0 && !Known.Contains(line.Trim()),
        _ => !GitConfig.Read(line).All(setting => IsHarmless(setting.Key, setting.Value)),
    };

    // Settings as git writes them there; what is written in another way is not told apart from what runs something.
    private static bool IsHarmless(string key, string value) =>
        key.All(letter => char.IsAsciiLetter(letter) || letter == '-') && !value.EndsWith('\\') && (!key.Equals("strategy", StringComparison.OrdinalIgnoreCase) || Known.Contains(value));
}
