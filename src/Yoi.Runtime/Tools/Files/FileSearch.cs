using System.Buffers;
using System.Text;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>A line of a result.</summary>
internal readonly record struct HitLine(int Number, bool IsMatch, string Text);

/// <summary>What of a file's matches is wanted.</summary>
internal enum Wanted { Existence, Count, Lines }

/// <summary>What was found in one file.</summary>
/// <param name="Count">Matching lines, also those that were not kept; 1 where only their existence is wanted.</param>
internal sealed record FileHits(string Path, DateTimeOffset Modified, int Count, IReadOnlyList<HitLine> Lines);

/// <summary>Searches one file after another; several tasks may share it. Binary and very large files are passed over and counted.</summary>
internal sealed class FileSearch(SearchPattern pattern, int before, int after, Wanted wanted)
{
    private const int LargestFile = 32 << 20, LongestLine = 500, MostKept = 50_000;

    private int _kept, _binary, _tooLarge;

    internal int Binary => _binary;
    internal int TooLarge => _tooLarge;

    /// <summary>True if lines were found that are counted and not kept.</summary>
    internal bool Overflowed => _kept > MostKept;

    internal FileHits? Search(OpenedFile file)
    {
        if (file.Size > LargestFile)
        {
            Interlocked.Increment(ref _tooLarge);
            return null;
        }
        var bytes = ArrayPool<byte>.Shared.Rent((int)file.Size + 1);
        try
        {
            return Search(file, bytes.AsSpan(0, file.Fill(bytes)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private FileHits? Search(OpenedFile file, ReadOnlySpan<byte> bytes)
    {
        if (TextFormat.BinaryKind(bytes[..Math.Min(bytes.Length, TextFormat.Sample)]) is not null)
        {
            Interlocked.Increment(ref _binary);
            return null;
        }
        Encoding encoding = Encoding.UTF8;
        if (TextFormat.Utf16(bytes) is { } utf16)
        {
            encoding = utf16;
            bytes = bytes[2..];
        }
        else
        {
            if (TextFormat.HasBom(bytes)) bytes = bytes[3..];
            if (pattern.Needed is { } needed && bytes.IndexOf(needed) < 0) return null;
            if (pattern.IsPlain && wanted == Wanted.Existence) return new(file.Path, file.Modified, 1, []);
        }
        var text = ArrayPool<char>.Shared.Rent(encoding.GetMaxCharCount(bytes.Length));
        try
        {
            return Lines(file, text.AsSpan(0, encoding.GetChars(bytes, text)));
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
    }

    private FileHits? Lines(OpenedFile file, ReadOnlySpan<char> text)
    {
        var hits = new List<HitLine>();
        var (count, at, number, shownTo) = (0, 0, 1, 0);
        while (at < text.Length)
        {
            var (index, length) = pattern.Next(text, at);
            if (index < 0 || index >= text.Length) break;
            if (wanted == Wanted.Existence) return new(file.Path, file.Modified, 1, hits);
            var start = SearchPattern.LineStart(text, index);
            number += text[at..start].Count('\n');
            for (var last = Math.Max(index, index + length - 1); ;)
            {
                // A match over several lines counts each of them.
                var end = SearchPattern.LineEnd(text, start);
                count++;
                if (wanted == Wanted.Lines && Interlocked.Increment(ref _kept) <= MostKept)
                {
                    Around(hits, text, start, number, ref shownTo);
                    hits.Add(new(number, true, Shown(text[start..end])));
                    shownTo = number;
                }
                at = end + 1;
                number++;
                if (at > last || at >= text.Length) break;
                start = at;
            }
            if (wanted == Wanted.Lines && shownTo == number - 1) Following(hits, text, at, number, ref shownTo);
        }
        return count == 0 ? null : new(file.Path, file.Modified, count, hits);
    }

    /// <summary>The lines before a match that are not shown yet.</summary>
    private void Around(List<HitLine> hits, ReadOnlySpan<char> text, int start, int number, ref int shownTo)
    {
        var first = Math.Max(Math.Max(1, number - before), shownTo + 1);
        var starts = new Stack<int>();
        for (var i = number; i > first; i--) starts.Push(start = SearchPattern.LineStart(text, start - 1));
        for (; first < number; first++)
        {
            var from = starts.Pop();
            hits.Add(new(first, false, Shown(text[from..SearchPattern.LineEnd(text, from)])));
        }
    }

    /// <summary>The lines after a match, up to the next match, which is found again as such.</summary>
    private void Following(List<HitLine> hits, ReadOnlySpan<char> text, int at, int number, ref int shownTo)
    {
        if (after == 0) return;
        var (next, _) = pattern.Next(text, Math.Min(at, text.Length));
        for (var i = 0; i < after && at < text.Length; i++)
        {
            var end = SearchPattern.LineEnd(text, at);
            if (next >= 0 && next <= end) return;
            hits.Add(new(number, false, Shown(text[at..end])));
            shownTo = number++;
            at = end + 1;
        }
    }

    private static string Shown(ReadOnlySpan<char> line)
    {
        line = line.TrimEnd('\r');
        var text = line.Length <= LongestLine ? line.ToString() : CappedText.Cut(line[..(LongestLine + 1)].ToString(), LongestLine) + " … [line cut]";
        return text.Replace('\0', '\u2400');
    }
}
