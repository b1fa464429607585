using System.Text;
using System.Text.Unicode;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Shows a text file's lines, numbered. Reads no more of a file than it shows, counts or compares.</summary>
internal sealed class Read(ScopedFiles files, FilesSeen seen) : FileTool(files, "Read")
{
    private const int DefaultLines = 2000, LongestLine = 2000;

    /// <summary>Lines are counted to the end up to here, and UTF-16 is read.</summary>
    private const long SmallFile = 8L << 20;

    /// <summary>How far a big file is read to reach an offset.</summary>
    private const long FarthestScan = 512L << 20;

    protected override Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct)
    {
        var path = arguments.Text("file_path");
        var first = Math.Max(1, arguments.Number("offset") ?? 1);
        var count = arguments.Number("limit", 1) ?? DefaultLines;
        using var file = Files.OpenRead(path);
        return Task.FromResult(Show(file, first, count, ct));
    }

    private ToolOutcome Show(OpenedFile file, int first, int count, CancellationToken ct)
    {
        var shown = PathText.Shown(file.Path);
        var sample = ScopedFiles.ReadAll(file, TextFormat.Sample);
        if (TextFormat.BinaryKind(sample) is { } kind) throw new ToolFailure($"{shown} is a binary file ({kind}, {TextFormat.Bytes(file.Size)}); Read shows text only.");

        // The mark is taken first: if the file changes while it is shown, the mark is the older one, and a later Edit is refused.
        var mark = FilesSeen.MarkOf(file, ct);
        var page = new Page(Lines(file, sample, shown), first, count, file.Size <= SmallFile, ct);
        if (page.Total == 0 && file.Size == 0)
        {
            seen.Saw(file.Path, mark);
            return new($"Read {shown}: the file is empty (0 bytes)");
        }
        if (page.Shown == 0)
            throw new ToolFailure(page.Ended
                ? $"offset {first} is past the end: {shown} has {page.Total} line(s)."
                : $"offset {first} is farther than Read looks into a file ({TextFormat.Bytes(FarthestScan)}); find the place with Grep.");
        seen.Saw(file.Path, mark);

        var last = first + page.Shown - 1;
        var summary = new StringBuilder($"Read {page.Shown} line(s) from {shown}");
        if (first > 1 || !page.Complete)
            summary.Append(page.Ended ? $" (lines {first}-{last} of {page.Total}" : $" (lines {first}-{last}").Append(page.Complete ? ")" : $"; more follow: continue with offset {last + 1})");
        if (page.Carriage) summary.Append("; lines end with CRLF");
        if (TextFormat.Utf16(sample) is not null) summary.Append("; the file is UTF-16");
        if (TextFormat.HasBom(sample)) summary.Append("; it begins with a byte order mark");
        if (page.Invalid) summary.Append("; some bytes are not UTF-8 and shown as \ufffd");
        if (page.CutLines > 0) summary.Append($"; {page.CutLines} line(s) longer than {LongestLine} characters are cut");
        return new(summary.ToString(), page.Content);
    }

    private static LineScanner Lines(OpenedFile file, byte[] sample, string shown)
    {
        if (TextFormat.Utf16(sample) is not { } encoding) return new((buffer, at) => RandomAccess.Read(file.Handle, buffer, at));
        if (file.Size > SmallFile) throw new ToolFailure($"{shown} is UTF-16 and {TextFormat.Bytes(file.Size)}; Read converts at most {TextFormat.Bytes(SmallFile)}.");
        var bytes = Encoding.UTF8.GetBytes(encoding.GetString(ScopedFiles.ReadAll(file, (int)SmallFile).AsSpan(2)));
        return new((buffer, at) =>
        {
            var part = bytes.AsSpan((int)at, Math.Min(buffer.Length, bytes.Length - (int)at));
            part.CopyTo(buffer);
            return part.Length;
        });
    }

    /// <summary>The lines of one call.</summary>
    private sealed class Page
    {
        private readonly CappedText _text = new();

        internal Page(LineScanner lines, int first, int count, bool toTheEnd, CancellationToken ct)
        {
            First = first;
            var full = false;
            Ended = true;
            while (lines.Next(out var kept, out var length))
            {
                if (Total % 4096 == 0) ct.ThrowIfCancellationRequested();
                if (lines.Position > FarthestScan || ((full || Shown == count) && !toTheEnd))
                {
                    Ended = false;
                    break;
                }
                Total++;
                if (Total < first || full || Shown == count) continue;
                if (_text.TryAdd($"{Total,6}\t{Line(kept, length)}")) Shown++;
                else full = true;
            }
        }

        /// <summary>Lines seen: all of the file's if <see cref="Ended"/>.</summary>
        internal int Total { get; private set; }
        internal bool Ended { get; }
        internal int Shown { get; }
        internal int CutLines { get; private set; }
        internal bool Carriage { get; private set; }
        internal bool Invalid { get; private set; }
        internal bool Complete => Ended && (First + Shown > Total);
        internal string Content => _text.ToString();

        private int First { get; }

        private string Line(ReadOnlySpan<byte> kept, long length)
        {
            if (Total == 1 && TextFormat.HasBom(kept))
            {
                kept = kept[3..];
                length -= 3;
            }
            if (kept.Length == length && kept.EndsWith("\r"u8))
            {
                Carriage = true;
                kept = kept[..^1];
                length--;
            }
            if (kept.Length < length) kept = WithoutLastCharacter(kept);
            Invalid |= !Utf8.IsValid(kept);
            var text = Encoding.UTF8.GetString(kept).Replace('\0', '\u2400');
            if (kept.Length == length && text.Length <= LongestLine) return text;
            CutLines++;
            return CappedText.Cut(text, Math.Min(text.Length, LongestLine)) + $" … [line cut; it has {length} bytes]";
        }

        /// <summary>Of a line that is kept in part only, the end may be half a character.</summary>
        private static ReadOnlySpan<byte> WithoutLastCharacter(ReadOnlySpan<byte> bytes)
        {
            var end = bytes.Length - 1;
            while (end > 0 && (bytes[end] & 0xc0) == 0x80) end--;
            return bytes[..end];
        }
    }
}
