using System.Text;

namespace Yoi.Runtime.Tools.Files;

/// <summary>A result's content: whole lines up to a limit in UTF-8 bytes. What did not fit is for the caller to say.</summary>
internal sealed class CappedText(int limit = CappedText.Limit)
{
    /// <summary>Most bytes of a result's content.</summary>
    internal const int Limit = ToolRunner.MaxContentBytes;

    private readonly StringBuilder _text = new();
    private int _bytes;

    internal bool IsEmpty => _text.Length == 0;

    /// <summary>Adds a line and its end, or says no.</summary>
    internal bool TryAdd(string line)
    {
        var bytes = Encoding.UTF8.GetByteCount(line) + 1;
        if (_bytes + bytes > limit) return false;
        _bytes += bytes;
        _text.Append(line).Append('\n');
        return true;
    }

    /// <summary>The first characters of a text, never half of one.</summary>
    internal static string Cut(string text, int most)
    {
        if (text.Length <= most) return text;
        return text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];
    }

    public override string ToString() => _text.ToString();
}
