using System.Globalization;
using System.Text;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>
/// The token budget of a tree. Each Pod says what it has used in a file of its own below the root's directory and reads those of the
/// others before it asks its model. What a Pod says is a fold of its journal and written anew when it starts; the files are never the truth
/// about it. Pods that ask at the same moment may together pass the budget, by what one request each takes.
/// </summary>
/// <param name="directory">The tree's, made when it is first needed.</param>
/// <param name="limit">Input and output tokens of all Pods of the tree together; null: no budget, and then nothing is read or written.</param>
internal sealed class TokenBudget(string directory, string podId, int? limit) : IJournalFold
{
    /// <summary>Where a provider reports nothing: characters of an answer for a token.</summary>
    private const int CharactersOfToken = 4;

    private long _own;

    /// <summary>Where the Pods of a tree say what they have used: below the directory of its root, or the Pod's own if that is gone.</summary>
    internal static string DirectoryOf(YoiDirectories directories, string rootId, string own) =>
        Path.Join(Directory.Exists(directories.Pods) ? Directory.GetDirectories(directories.Pods, "*." + rootId).FirstOrDefault() ?? own : own, "tokens");

    public void Apply(JournalRecord record)
    {
        if (record.Entry is not Entry.Assistant message) return;
        var output = message.Usage?.OutputTokens is { } reported ? Math.Max(0, reported) : message.Blocks.Sum(Length) / CharactersOfToken;
        _own += Math.Max(0, message.Usage?.InputTokens ?? 0) + output;
    }

    /// <summary>Says what this Pod has used.</summary>
    /// <exception cref="JournalException">It cannot be said: then the budget is not kept.</exception>
    internal void Tell()
    {
        if (limit is not null) Kept(() =>
        {
            PrivateFile.CreateDirectory(directory);
            using var own = PrivateFile.OpenToWrite(Path.Join(directory, podId));
            RandomAccess.Write(own, Encoding.ASCII.GetBytes(_own.ToString("D20", CultureInfo.InvariantCulture)), 0);
            return 0;
        });
    }

    /// <summary>Says what this Pod has used; the words of the limit if the tree has used up its budget, else null.</summary>
    /// <exception cref="JournalException">What the tree has used is not known.</exception>
    internal string? Check()
    {
        if (limit is not { } most) return null;
        Tell();
        var used = Kept(() => Directory.EnumerateFiles(directory).Sum(Read));
        return used < most ? null : $"the tree has used {used} of {most} tokens; raise it with --max-tokens or limits.tokens";
    }

    private static long Kept(Func<long> act)
    {
        try
        {
            return act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new JournalException($"the token budget cannot be kept: {e.Message}", e);
        }
    }

    /// <summary>A file that was just made and not written yet says nothing.</summary>
    private static long Read(string file) =>
        long.TryParse(PrivateFile.ReadText(file), NumberStyles.None, CultureInfo.InvariantCulture, out var used) ? used : 0;

    private static int Length(AssistantBlock block) => block switch
    {
        AssistantBlock.Text text => text.Value.Length,
        AssistantBlock.Thinking thinking => thinking.Value.Length,
        AssistantBlock.ToolCall call => call.Arguments.Length,
        _ => 0,
    };
}
