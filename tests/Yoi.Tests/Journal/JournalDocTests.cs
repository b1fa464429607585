using System.Text;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Protocol;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Journal;

/// <summary>What docs/journal.md says is what the code does.</summary>
public sealed partial class JournalDocTests
{
    private static readonly string Doc = SourceTree.Read("docs/journal.md");

    [Fact]
    public void Every_example_line_is_a_good_record_and_is_what_would_be_written()
    {
        var lines = Block().Matches(Doc).SelectMany(block => block.Groups["lines"].Value.TrimEnd().Split('\n')).ToList();
        Assert.True(lines.Count >= 7);
        var seq = 0;
        foreach (var line in lines)
        {
            var record = JournalCodec.Read(Encoding.UTF8.GetBytes(line), 0);
            Assert.NotNull(record);
            Assert.IsNotType<Entry.Unknown>(record.Entry);
            Assert.Equal(++seq, record.Seq);
            var written = new System.Buffers.ArrayBufferWriter<byte>();
            JournalCodec.Write(written, record.Seq, record.Time, record.Entry);
            Assert.Equal(line + "\n", Encoding.UTF8.GetString(written.WrittenSpan));
        }
    }

    [Fact]
    public void Every_kind_has_its_line_and_no_other_kind_has()
    {
        var section = Doc[Doc.IndexOf("\n## Kinds\n", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n## ", 1, StringComparison.Ordinal)];
        Assert.Equal(Kinds.Entries.Names, Row().Matches(section).Select(row => row.Groups["kind"].Value));
        Assert.All(Row().Matches(section), row => Assert.NotEmpty(row.Groups["meaning"].Value.Trim()));
    }

    [Fact]
    public void The_numbers_are_those_of_the_code()
    {
        Assert.Contains($"A line has at most {JournalCodec.MaxLineBytes >> 20} MiB", Doc, StringComparison.Ordinal);
        Assert.Contains($"that of the format, now {JournalCodec.Version}", Doc, StringComparison.Ordinal);
    }

    [GeneratedRegex("^```jsonl\n(?<lines>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^\| `(?<kind>\w+)` \|(?<meaning>[^|]*)\|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
