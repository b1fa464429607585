namespace Yoi.Runtime.Control;

/// <summary>Who sent a line.</summary>
/// <param name="Name"><c>human</c>, the client's name, or the child's name.</param>
/// <param name="ChildId">Set if it proved itself with a child's token: upward methods only.</param>
internal sealed record Caller(string Name, string? ChildId = null);

/// <summary>A refusal of the controller; Socket makes it an error event (base) or an error reply (with an id).</summary>
internal sealed class RefusedException(string code, string message, IReadOnlyList<string>? candidates = null) : Exception(message)
{
    internal string Code { get; } = code;
    internal IReadOnlyList<string>? Candidates { get; } = candidates;
}
