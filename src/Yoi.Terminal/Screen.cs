using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Spectre.Console;
using Spectre.Console.Rendering;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>How a piece of text is meant; the screen decides how that looks.</summary>
internal enum Tone { Plain, Dim, Strong, Name, Good, Bad, Warning }

/// <summary>
/// The two streams to the user: answers and listings on stdout, warnings and errors on stderr. Owns whether there are
/// colours: only on a terminal, and never with NO_COLOR. Safe to use from several tasks.
/// </summary>
internal sealed class Screen
{
    private readonly TextWriter _out;
    private readonly TextWriter _error;
    private readonly bool _errorColours, _terminal;
    private readonly Func<int>? _liveWidth;
    private readonly Lock _lock = new();
    private readonly TypedText? _typed;
    private bool _midLine;

    /// <param name="liveWidth">Columns of the terminal now; null if stdout is none, or one that cannot move its cursor.</param>
    /// <param name="terminal">True if both streams meet on one terminal, so that a remark must not stand in the middle of text.</param>
    internal Screen(
        TextWriter output, TextWriter error, bool colours = false, bool errorColours = false, int? width = null, Func<int>? liveWidth = null, bool terminal = false)
    {
        (_out, _error, Colours, _errorColours, _liveWidth, _terminal) = (output, error, colours, errorColours, liveWidth, terminal);
        if (liveWidth is not null) _typed = new TypedText(output, liveWidth);
        Console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = colours ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colours ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(output),
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        // Without a terminal nothing is ever cut or wrapped: whoever reads it decides.
        Console.Profile.Width = width ?? (colours ? Math.Max(40, Console.Profile.Width) : 4096);
    }

    /// <summary>The process's own streams.</summary>
    internal static Screen OfProcess(Func<string, string?> environment)
    {
        var able = environment("TERM") is { Length: > 0 } and not "dumb";
        var allowed = able && string.IsNullOrEmpty(environment("NO_COLOR"));
        var output = !System.Console.IsOutputRedirected;
        return new Screen(
            System.Console.Out, System.Console.Error, allowed && output, allowed && !System.Console.IsErrorRedirected,
            output ? TerminalWidth() : null, output && able ? TerminalWidth : null, output && !System.Console.IsErrorRedirected);
    }

    private static int TerminalWidth() => Math.Max(40, System.Console.WindowWidth);

    /// <summary>True if stdout is a terminal that may be coloured.</summary>
    internal bool Colours { get; }

    /// <summary>True if stdout is a terminal whose lines may be redrawn; NO_COLOR does not forbid that.</summary>
    internal bool IsLive => _liveWidth is not null;

    /// <summary>Columns now.</summary>
    internal int Width => _liveWidth?.Invoke() ?? Console.Profile.Width;

    /// <summary>For what needs layout: tables, trees, live screens.</summary>
    internal IAnsiConsole Console { get; }

    /// <summary>Writes a line of text that is already safe.</summary>
    internal void Line(string text = "", Tone tone = Tone.Plain) => Write(text + "\n", tone);

    /// <summary>Writes a line that begins in this column; what does not fit the terminal goes on below its beginning.</summary>
    internal void Hang(string text, int column, Tone tone = Tone.Plain)
    {
        var lines = IsLive ? LiveRegion.Wrap(text, Math.Max(20, Width - 1 - column)) : [text];
        Line(string.Join("\n" + new string(' ', column), lines), tone);
    }

    /// <summary>Writes text that is already safe.</summary>
    internal void Write(string text, Tone tone = Tone.Plain)
    {
        lock (_lock)
        {
            Out(Colours ? Toned(text, tone) : text);
            if (text.Length > 0) _midLine = text[^1] != '\n';
        }
    }

    /// <summary>Begins a new line if text stands in the middle of one.</summary>
    internal void EndLine()
    {
        lock (_lock) EndLine_NeedsLock();
    }

    private void EndLine_NeedsLock()
    {
        if (_midLine) Out("\n");
        _midLine = false;
    }

    /// <summary>Shows what a person is typing, below all else, with the cursor at this character; empty takes it away.</summary>
    internal void Typed(string text, int at)
    {
        lock (_lock) _typed?.Show(text, at);
    }

    /// <summary>Shows what is waited for, below all else, while nothing is typed there; empty takes it away. Without a terminal nothing.</summary>
    internal void Waiting(string text)
    {
        lock (_lock) _typed?.Remark(text);
    }

    private void Out(string text) => Put(_out, text);

    private void Put(TextWriter to, string text)
    {
        if (_typed is not null && (to == _out || _terminal))
        {
            _typed.Write(to, text);
            return;
        }
        to.Write(text);
        to.Flush();
    }

    /// <summary>Draws something with layout.</summary>
    internal void Draw(IRenderable renderable)
    {
        lock (_lock) Console.Write(renderable);
    }

    /// <summary>A remark on stderr.</summary>
    internal void Remark(string text, Tone tone = Tone.Dim)
    {
        lock (_lock)
        {
            if (_terminal) EndLine_NeedsLock();
            Put(_error, _errorColours ? Toned(text + "\n", tone) : text + "\n");
        }
    }

    /// <summary><c>yoi: what happened; what to do</c> on stderr.</summary>
    internal void Error(string message) => Remark("yoi: " + SafeText.Of(message), Tone.Bad);

    /// <summary>A warning on stderr.</summary>
    internal void Warn(string message) => Remark("yoi: warning: " + SafeText.Of(message), Tone.Warning);

    /// <summary>One JSON value a line, exactly as it is: JSON escapes its control codes itself.</summary>
    internal void Json<T>(T value, JsonTypeInfo<T> type)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, YoiJson.Writer)) JsonSerializer.Serialize(json, value, type);
        JsonLine(buffer.WrittenSpan);
    }

    /// <summary>One journal entry as the event line that an attached client gets.</summary>
    internal void Json(long seq, DateTimeOffset time, Entry entry)
    {
        var buffer = new ArrayBufferWriter<byte>();
        WireCodec.Write(buffer, JournalCodec.ToEvent(new JournalRecord(seq, time, entry, 0, 0, "")));
        JsonLine(buffer.WrittenSpan[..^1]);
    }

    private void JsonLine(ReadOnlySpan<byte> line)
    {
        var text = System.Text.Encoding.UTF8.GetString(line);
        lock (_lock)
        {
            _out.Write(text + "\n");
            _out.Flush();
        }
    }

    /// <summary>A piece of text as it is to be written.</summary>
    internal string Paint(Said piece) => Colours ? Toned(piece.Text, piece.Tone) : piece.Text;

    private static string Toned(string text, Tone tone)
    {
        var code = tone switch { Tone.Dim => "2", Tone.Strong => "1", Tone.Name => "36", Tone.Good => "32", Tone.Bad => "31", Tone.Warning => "33", _ => null };
        if (code is null) return text;
        var body = text.TrimEnd('\n');
        return $"\e[{code}m{body}\e[0m{text[body.Length..]}";
    }
}
