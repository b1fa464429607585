using System.Text;

namespace Yoi.Shared;

/// <summary>A block of a scripted message, in the deltas in which it is streamed.</summary>
public abstract record Piece
{
    private Piece() { }

    public sealed record Text(params string[] Deltas) : Piece;

    public sealed record Thinking(string? Signature, params string[] Deltas) : Piece;

    public sealed record Redacted(string Data) : Piece;

    public sealed record Call(string Id, string Name, params string[] Arguments) : Piece;
}

/// <summary>What <see cref="ModelServer"/> answers to one request: a message, or anything else that a server can do.</summary>
public sealed record Answer
{
    public IReadOnlyList<Piece> Pieces { get; init; } = [];

    /// <summary>The provider's own word; null for what fits the pieces.</summary>
    public string? StopReason { get; init; }

    public int InputTokens { get; init; } = 10;
    public int OutputTokens { get; init; } = 5;
    public int? CacheReadTokens { get; init; }
    public int Status { get; init; } = 200;
    public string ContentType { get; init; } = "text/event-stream; charset=utf-8";
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>The whole body as it is, instead of the pieces.</summary>
    public byte[]? Raw { get; init; }

    /// <summary>The connection is cut after this many events; 0 loses the whole answer, headers included.</summary>
    public int? CutAfter { get; init; }

    /// <summary>Awaited before event N is sent: a test's gate.</summary>
    public Func<int, CancellationToken, Task>? Before { get; init; }

    /// <summary>A message of text.</summary>
    public static Answer Says(params string[] deltas) => new() { Pieces = [new Piece.Text(deltas)] };

    /// <summary>A message with one call.</summary>
    public static Answer Calls(string name, string arguments, string id = "toolu_1") => new() { Pieces = [new Piece.Call(id, name, arguments)] };

    /// <summary>An error answer in the form that both providers' clients understand.</summary>
    public static Answer Fails(int status, string type, string message) => new()
    {
        Status = status,
        ContentType = "application/json",
        Raw = Encoding.UTF8.GetBytes($$$"""{"type":"error","error":{"type":"{{{type}}}","message":"{{{message}}}"}}"""),
    };

    /// <summary>Exactly this body, as an event stream with status 200.</summary>
    public static Answer Stream(string body) => new() { Raw = Encoding.UTF8.GetBytes(body) };
}
