using System.Security.Cryptography;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Turns;

/// <summary>
/// Notices a run that goes in circles: turn after turn the same calls with the same results, or two kinds of turn that alternate.
/// A fold of the journal: a Pod that comes back has not forgotten. Not thread-safe: asked between two turns, when nothing is appended.
/// </summary>
internal sealed class CircleGuard : IJournalFold
{
    /// <summary>After so many turns without anything new the model is told, and after so many the run ends.</summary>
    internal const int WarnAfter = 8, EndAfter = 24;

    private readonly StringBuilder _turn = new();
    private readonly List<string> _kinds = [];
    private int _open;

    /// <summary>How many of the last turns brought nothing that one of the two before them had not brought.</summary>
    internal int Turns { get; private set; }

    public void Apply(JournalRecord record)
    {
        switch (record.Entry)
        {
            case Entry.RunStart:
                _kinds.Clear();
                Turns = 0;
                break;
            case Entry.Assistant { Partial: false } assistant:
                _turn.Clear();
                _open = 0;
                foreach (var call in assistant.Blocks.OfType<AssistantBlock.ToolCall>())
                {
                    _turn.Append(call.Name).Append('\0').Append(call.Arguments).Append('\0');
                    _open++;
                }
                break;
            case Entry.ToolResult result:
                _turn.Append(result.Summary).Append('\0').Append(result.Content).Append('\0');
                if (--_open == 0) Close();
                break;
        }
    }

    private void Close()
    {
        var kind = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(_turn.ToString())));
        Turns = _kinds.TakeLast(2).Contains(kind) ? Turns + 1 : 0;
        _kinds.Add(kind);
        if (_kinds.Count > 2) _kinds.RemoveAt(0);
    }
}
