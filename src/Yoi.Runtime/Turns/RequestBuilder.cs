using Yoi.Protocol;
using Yoi.Runtime.Models;

namespace Yoi.Runtime.Turns;

/// <summary>
/// Makes the model request out of journal records and nothing else: no clock, configuration, environment or file.
/// The same records give the same request, today and after a restart.
/// </summary>
internal static class RequestBuilder
{
    /// <summary>The kinds of entries that requests are made of; all others are nothing to the model.</summary>
    internal static IReadOnlySet<Type> Uses { get; } = new HashSet<Type>
    {
        typeof(Entry.PodCreated), typeof(Entry.Prompt), typeof(Entry.Input), typeof(Entry.Notify), typeof(Entry.News),
        typeof(Entry.Correction), typeof(Entry.Assistant), typeof(Entry.ToolResult), typeof(Entry.RunStart),
    };

    /// <summary>The request for a turn that begins behind the last of <paramref name="records"/>.</summary>
    internal static ModelRequest Build(IEnumerable<JournalRecord> records)
    {
        var building = new Building();
        foreach (var record in records) building.Take(record);
        return building.Finish();
    }

    private sealed class Building
    {
        private readonly List<ModelMessage> _messages = [];
        private readonly Dictionary<long, string> _queued = [];
        private readonly List<string> _open = [];
        private List<ModelToolResult> _results = [];
        private List<string> _texts = [];
        private ModelChoice? _choice;
        private Entry.Prompt? _prompt;

        internal void Take(JournalRecord record)
        {
            switch (record.Entry)
            {
                case Entry.PodCreated created: _choice = created.Model; break;
                case Entry.Prompt prompt: _prompt = prompt; break;
                case Entry.Input { Queued: true } input: _queued[record.Seq] = Text(input); break;
                case Entry.Input input: _texts.Add(Text(input)); break;
                case Entry.Notify notify: _texts.Add($"[notice from {notify.Source}] {notify.Message}"); break;
                case Entry.News news: _texts.Add(news.Text); break;
                case Entry.Correction correction: _texts.Add(correction.Text); break;
                // Queued input is the model's to see only from the run on that it starts.
                case Entry.RunStart { Cause: { } cause } when _queued.Remove(cause, out var text): _texts.Add(text); break;
                // A result whose call was lost with a damaged line has no place in a request.
                case Entry.ToolResult result when _open.Remove(result.CallId): _results.Add(new(result.CallId, Text(result), result.IsError)); break;
                case Entry.Assistant assistant: Take(assistant); break;
            }
        }

        private void Take(Entry.Assistant assistant)
        {
            var blocks = assistant.Partial ? Kept(assistant.Blocks) : assistant.Blocks;
            if (blocks.Count == 0) return;
            CloseCalls();
            _open.AddRange(blocks.OfType<AssistantBlock.ToolCall>().Select(call => call.CallId));
            if (!CloseUser() && _messages is [.., ModelMessage.Assistant last])
            {
                _messages[^1] = new ModelMessage.Assistant([.. last.Blocks, .. blocks]);
                return;
            }
            _messages.Add(new ModelMessage.Assistant(blocks));
        }

        /// <summary>Every call has a result right behind it, also where that was lost: no provider takes anything else.</summary>
        private void CloseCalls()
        {
            foreach (var call in _open) _results.Add(new(call, "[yoi] the result was lost: the journal was damaged here", true));
            _open.Clear();
        }

        /// <summary>Of a message that was cut off only the text counts: its reasoning has no signature, its calls never ran.</summary>
        private static List<AssistantBlock> Kept(IReadOnlyList<AssistantBlock> blocks)
        {
            var text = string.Concat(blocks.OfType<AssistantBlock.Text>().Select(block => block.Value));
            return text.Length == 0 ? [] : [new AssistantBlock.Text(text + "\n[cut off here]")];
        }

        private bool CloseUser()
        {
            if (_results.Count == 0 && _texts.Count == 0) return false;
            _messages.Add(new ModelMessage.User(_results, _texts));
            (_results, _texts) = ([], []);
            return true;
        }

        internal ModelRequest Finish()
        {
            CloseCalls();
            CloseUser();
            if (_choice is null || _prompt is null) throw new InvalidOperationException("a request needs pod_created and prompt");
            return new ModelRequest(_choice, _prompt.System, _prompt.Tools, _messages);
        }

        private static string Text(Entry.Input input) => input.From == "human" ? input.Text : $"[message from {input.From}] {input.Text}";

        private static string Text(Entry.ToolResult result) =>
            string.IsNullOrEmpty(result.Content) ? result.Summary : $"{result.Summary}\n\n{result.Content}";
    }
}
