using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Wire;

/// <summary>One thing that happens in a replay, in order.</summary>
internal abstract record Step
{
    private Step() { }

    /// <summary>The client sends bytes.</summary>
    internal sealed record Send(int Conn, byte[] Bytes) : Step;

    /// <summary>The Pod sends an event.</summary>
    internal sealed record Expect(int Conn, JsonElement Event) : Step
    {
        internal string Kind => Event.GetProperty("event").GetString()!;

        internal string? Code => Event.TryGetProperty("data", out var data) && data.TryGetProperty("code", out var code) ? code.GetString() : null;
    }

    /// <summary>The Pod ends the connection.</summary>
    internal sealed record End(int Conn) : Step;

    /// <summary>The Pod's process ends.</summary>
    internal sealed record Exit(int Code) : Step;

    internal int? On => this switch
    {
        Send send => send.Conn,
        Expect expect => expect.Conn,
        End end => end.Conn,
        _ => null,
    };
}

/// <summary>A file of Data/wire as steps.</summary>
internal static partial class Recording
{
    /// <param name="paths">What the paths of the recording are here.</param>
    internal static List<Step> Read(string name, params IReadOnlyList<(string Recorded, string Here)> paths)
    {
        var steps = new List<Step>();
        foreach (var text in Lines($"{name}.jsonl"))
        {
            using var document = JsonDocument.Parse(text);
            var record = document.RootElement;
            if (record.TryGetProperty("note", out var note))
            {
                if (Ended().Match(note.GetString()!) is { Success: true } end && new Step.End(Number(end)) is var ended && !steps.Contains(ended)) steps.Add(ended);
                if (Exited().Match(note.GetString()!) is { Success: true } exit) steps.Add(new Step.Exit(Number(exit)));
                continue;
            }
            var (conn, line) = (record.GetProperty("conn").GetInt32(), record.GetProperty("line").GetString()!);
            if (record.GetProperty("dir").GetString() == "s2c") steps.Add(new Step.Expect(conn, JsonDocument.Parse(line).RootElement));
            else steps.Add(new Step.Send(conn, Bytes(paths.Aggregate(line, (at, path) => at.Replace(path.Recorded, path.Here, StringComparison.Ordinal)), record.TryGetProperty("part", out _))));
        }
        return steps;
    }

    internal static IEnumerable<string> Lines(string file) => SourceTree.Read("tests/Yoi.Tests/Data/wire/" + file).TrimEnd('\n').Split('\n');

    private static int Number(Match match) => int.Parse(match.Groups["number"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture);

    private static byte[] Bytes(string line, bool part)
    {
        List<byte> bytes = [];
        foreach (var rune in line.EnumerateRunes()) bytes.AddRange(rune.Value == 0xFFFD ? [0xFF] : Encoding.UTF8.GetBytes(rune.ToString()));
        if (!part) bytes.Add((byte)'\n');
        return [.. bytes];
    }

    [GeneratedRegex(@"^conn (?<number>\d+): EOF from pod$")]
    private static partial Regex Ended();

    [GeneratedRegex(@"^exit code (?<number>\d+)")]
    private static partial Regex Exited();
}
