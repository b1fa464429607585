using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Yoi.Protocol;

/// <summary>
/// Reads the data of those kinds of entries of which journals are full, member by member in the order in which it is written: several times
/// quicker than the generated code, which takes any order. Null for whatever looks different, which is the generated code's to judge.
/// What is read here is what that would have read.
/// </summary>
internal ref struct EntryReader
{
    private static readonly SearchValues<byte> EndsPlainText = SearchValues.Create([(byte)'"', (byte)'\\', .. Enumerable.Range(0, ' ').Select(control => (byte)control)]);

    private ReadOnlySpan<byte> _rest;

    private EntryReader(ReadOnlySpan<byte> data) => _rest = data;

    /// <summary>The entry of a kind whose data this is; null if it is not as this build writes it, or the kind is a rare one.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="InvalidOperationException">A text in it is none.</exception>
    internal static Entry? Read(Kind kind, ReadOnlySpan<byte> data)
    {
        var reader = new EntryReader(data);
        Entry? entry = kind.Name switch
        {
            "input" => reader.Input(),
            "notify" => reader.Notify(),
            "run_start" => reader.RunStart(),
            "turn_start" => reader.TurnStart(),
            "assistant" => reader.Assistant(),
            "tool_result" => reader.ToolResult(),
            "run_end" => reader.RunEnded(),
            "notification" => reader.Notification(),
            "command_started" => reader.CommandStarted(),
            "command_ended" => reader.CommandEnded(),
            _ => null,
        };
        return reader._rest.IsEmpty ? entry : null;
    }

    private Entry.Input? Input() =>
        Text("{\"text\":"u8, out var text) && Text(",\"from\":"u8, out var from) && Flag(",\"queued\":"u8, out var queued) && Skip("}"u8)
            ? new Entry.Input(text, from, queued) : null;

    private Entry.Notify? Notify() =>
        Text("{\"source\":"u8, out var source) && Text(",\"message\":"u8, out var message) && Skip("}"u8) ? new Entry.Notify(source, message) : null;

    private Entry.RunStart? RunStart() =>
        Number("{\"run\":"u8, out int run) && NumberIfAny(",\"cause\":"u8, out var cause) && Skip("}"u8) ? new Entry.RunStart(run, cause) : null;

    private Entry.TurnStart? TurnStart() => Number("{\"turn\":"u8, out int turn) && Skip("}"u8) ? new Entry.TurnStart(turn) : null;

    private Entry.Assistant? Assistant() =>
        Number("{\"turn\":"u8, out int turn) && Blocks(",\"blocks\":["u8, out var blocks) && UsageIfAny(",\"usage\":{"u8, out var usage)
        && TextIfAny(",\"stop_reason\":"u8, out var stop) && Flag(",\"partial\":"u8, out var partial) && Skip("}"u8)
            ? new Entry.Assistant(turn, blocks, usage, stop, partial) : null;

    private Entry.ToolResult? ToolResult() =>
        Text("{\"call_id\":"u8, out var call) && Text(",\"name\":"u8, out var name) && Text(",\"summary\":"u8, out var summary)
        && TextIfAny(",\"content\":"u8, out var content) && Flag(",\"is_error\":"u8, out var error) && Flag(",\"outcome_unknown\":"u8, out var unknown) && Skip("}"u8)
            ? new Entry.ToolResult(call, name, summary, content, error, unknown) : null;

    // Most runs end so.
    private Entry.RunEnded? RunEnded() =>
        Number("{\"run\":"u8, out int run) && Skip(",\"reason\":\"completed\""u8) && Number(",\"turns\":"u8, out int turns) && Skip("}"u8)
            ? new Entry.RunEnded(run, RunEnd.Completed, null, null, turns) : null;

    private Entry.Notification? Notification() =>
        Text("{\"level\":"u8, out var level) && Text(",\"source\":"u8, out var source) && Text(",\"message\":"u8, out var message) && Skip("}"u8)
            ? new Entry.Notification(level, source, message) : null;

    private Entry.CommandStarted? CommandStarted() =>
        Text("{\"command\":"u8, out var command) && Text(",\"line\":"u8, out var line) && Text(",\"cwd\":"u8, out var cwd) && TextIfAny(",\"call_id\":"u8, out var call)
        && Flag(",\"background\":"u8, out var background) && Text(",\"level\":"u8, out var level) && Number(",\"pid\":"u8, out int pid)
        && Text(",\"start_time\":"u8, out var start) && Text(",\"boot_id\":"u8, out var boot) && Number(",\"namespace\":"u8, out long space) && Skip("}"u8)
            ? new Entry.CommandStarted(command, line, cwd, call, background, level, pid, start, boot, space) : null;

    private Entry.CommandEnded? CommandEnded() =>
        Text("{\"command\":"u8, out var command) && NumberIfAny(",\"exit_code\":"u8, out var code) && code is null or >= 0 and <= int.MaxValue
        && Text(",\"why\":"u8, out var why) && Skip("}"u8)
            ? new Entry.CommandEnded(command, (int?)code, why) : null;

    private bool Blocks(ReadOnlySpan<byte> name, out List<AssistantBlock> blocks)
    {
        blocks = [];
        if (!Skip(name)) return false;
        if (Skip("]"u8)) return true;
        do
        {
            if (Block() is not { } block) return false;
            blocks.Add(block);
        }
        while (Skip(","u8));
        return Skip("]"u8);
    }

    private AssistantBlock? Block()
    {
        if (Skip("{\"type\":\"text\""u8))
            return Text(",\"text\":"u8, out var text) && Skip("}"u8) ? new AssistantBlock.Text(text) : null;
        if (Skip("{\"type\":\"thinking\""u8))
            return Text(",\"text\":"u8, out var thought) && TextIfAny(",\"opaque\":"u8, out var signature) && Flag(",\"redacted\":"u8, out var redacted) && Skip("}"u8)
                ? new AssistantBlock.Thinking(thought, signature, redacted) : null;
        return Skip("{\"type\":\"tool_call\""u8) && Text(",\"call_id\":"u8, out var call) && Text(",\"name\":"u8, out var name)
            && Text(",\"arguments\":"u8, out var arguments) && TextIfAny(",\"opaque\":"u8, out var opaque) && Skip("}"u8)
                ? new AssistantBlock.ToolCall(call, name, arguments, opaque) : null;
    }

    private bool UsageIfAny(ReadOnlySpan<byte> name, out Usage? usage)
    {
        usage = null;
        if (!Skip(name)) return true;
        if (!Number("\"input_tokens\":"u8, out long input) || !Number(",\"output_tokens\":"u8, out long output)
            || !NumberIfAny(",\"cache_read_tokens\":"u8, out var read) || !NumberIfAny(",\"cache_write_tokens\":"u8, out var written) || !Skip("}"u8)) return false;
        usage = new Usage(input, output, read, written);
        return true;
    }

    private bool TextIfAny(ReadOnlySpan<byte> name, out string? text)
    {
        if (!_rest.StartsWith(name))
        {
            text = null;
            return true;
        }
        return Text(name, out text);
    }

    private bool Text(ReadOnlySpan<byte> name, out string text)
    {
        text = "";
        if (!Skip(name) || !_rest.StartsWith((byte)'"') || _rest[1..].IndexOfAny(EndsPlainText) is not (>= 0 and var length)) return false;
        var plain = _rest.Slice(1, length);
        if (_rest[1 + length] != '"') return TextWithEscapes(out text);
        if (!Utf8.IsValid(plain)) return false;
        text = Encoding.UTF8.GetString(plain);
        _rest = _rest[(length + 2)..];
        return true;
    }

    private bool TextWithEscapes(out string text)
    {
        var json = new Utf8JsonReader(_rest);
        json.Read();
        text = json.GetString()!;
        _rest = _rest[(int)json.BytesConsumed..];
        return true;
    }

    private bool NumberIfAny(ReadOnlySpan<byte> name, out long? number)
    {
        number = null;
        if (!_rest.StartsWith(name)) return true;
        if (!Number(name, out long value)) return false;
        number = value;
        return true;
    }

    private bool Number(ReadOnlySpan<byte> name, out int number)
    {
        var whole = Number(name, out long value) && value <= int.MaxValue;
        number = whole ? (int)value : 0;
        return whole;
    }

    // As JSON spells it: 07 and +7 are none. What goes on behind the digits (a fraction) is not what comes next in an entry.
    private bool Number(ReadOnlySpan<byte> name, out long number)
    {
        number = 0;
        if (!Skip(name) || _rest.IsEmpty || !char.IsAsciiDigit((char)_rest[0])
            || !Utf8Parser.TryParse(_rest, out number, out var digits) || (digits > 1 && _rest[0] == '0')) return false;
        _rest = _rest[digits..];
        return true;
    }

    private bool Flag(ReadOnlySpan<byte> name, out bool flag)
    {
        flag = false;
        return Skip(name) && ((flag = Skip("true"u8)) || Skip("false"u8));
    }

    private bool Skip(ReadOnlySpan<byte> what)
    {
        if (!_rest.StartsWith(what)) return false;
        _rest = _rest[what.Length..];
        return true;
    }
}
