using Yoi.Terminal;

namespace Yoi;

/// <summary>What a person types at the terminal, read key by key and shown below what comes meanwhile.</summary>
internal sealed class Keyboard(Screen screen)
{
    private readonly LineEditor _editor = new();

    /// <summary>The next text; null if the person is done. Blocks its thread: the console has no other way.</summary>
    internal string? ReadLine()
    {
        for (; ; )
        {
            var key = Console.ReadKey(intercept: true);
            var more = Console.KeyAvailable;
            var outcome = _editor.Take(key, more);
            if (!more || outcome != LineEditor.Outcome.Edited) screen.Typed(_editor.Text, _editor.At);
            if (outcome != LineEditor.Outcome.Edited) return outcome == LineEditor.Outcome.Sent ? _editor.Sent : null;
        }
    }
}
