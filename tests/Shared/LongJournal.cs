using System.Buffers;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Shared;

/// <summary>A long life as a journal: run after run behind what is there, ten entries each, as a Pod that reads, answers and is told things writes them.</summary>
public static class LongJournal
{
    private const int EntriesOfRun = 10, Buffered = 1 << 20;

    /// <summary>Appends so many entries to the journal of a Pod that is dead and had no run; not synced. Returns how many runs that were.</summary>
    public static int Append(string path, int entries)
    {
        var seq = new JournalReader(path).Last()?.Seq ?? 0;
        using var file = new FileStream(path, FileMode.Append);
        var lines = new ArrayBufferWriter<byte>(2 * Buffered);
        var runs = entries / EntriesOfRun;
        for (var run = 0; run < runs; run++)
        {
            foreach (var entry in Run(run)) JournalCodec.Write(lines, ++seq, TimeProvider.System.GetUtcNow(), entry);
            if (lines.WrittenCount < Buffered && run < runs - 1) continue;
            file.Write(lines.WrittenSpan);
            lines.ResetWrittenCount();
        }
        return runs;
    }

    private static Entry[] Run(int run) =>
    [
        new Entry.Input($"Do the thing with number {run}, and say what came of it."), new Entry.RunStart(run, null), new Entry.TurnStart(2 * run),
        new Entry.Assistant(
            2 * run,
            [new AssistantBlock.Text("I shall read it first. " + new string('x', 200)), new AssistantBlock.ToolCall($"call_{run}", "Read", $$"""{"file_path":"/home/me/repo/src/{{run}}.txt"}""")],
            new Usage(1_000, 20, 900), "tool_use"),
        new Entry.ToolResult($"call_{run}", "Read", "12 lines", new string('y', 300), IsError: false), new Entry.Notify("clock", $"it is {run} o'clock"), new Entry.TurnStart((2 * run) + 1),
        new Entry.Assistant((2 * run) + 1, [new AssistantBlock.Text($"It says {run}.")], new Usage(1_100, 10, 1_000), "end_turn"),
        new Entry.Notification("info", "worker", "nothing of note"), new Entry.RunEnded(run, RunEnd.Completed, null, null, 2),
    ];
}
