namespace Yoi.Protocol;

/// <summary>What an attached client receives.</summary>
public abstract record PodMessage
{
    private PodMessage() { }

    /// <summary>A journal entry.</summary>
    public sealed record Entered(long Seq, DateTimeOffset Time, Entry Entry) : PodMessage;

    /// <summary>Streaming text that is no fact yet.</summary>
    public sealed record Streaming(Event.Delta Delta) : PodMessage;
}

/// <summary>A refusal by a Pod.</summary>
public sealed class PodRefusedException(ReplyError error) : Exception(error.Message)
{
    /// <summary>Code, message and what would have worked.</summary>
    public ReplyError Error { get; } = error;
}

/// <summary>A client of one Pod's socket. One instance may be used from several tasks.</summary>
public sealed class PodClient : IAsyncDisposable
{
    /// <summary>Connects and says hello.</summary>
    /// <param name="socketPath">Path of the Pod's socket, of any length.</param>
    /// <param name="client">Shown as the author of what is asked.</param>
    /// <param name="token">A child's token for its spawner.</param>
    public static Task<PodClient> ConnectAsync(string socketPath, string client = "human", string? token = null, CancellationToken ct = default) =>
        throw new NotImplementedException();

    /// <summary>Who answers.</summary>
    public ReplyResult.Welcome Welcome => throw new NotImplementedException();

    /// <summary>Starts a run, or queues it. Completes when the input is in the Pod's journal, on disk.</summary>
    public Task<ReplyResult.Accepted> RunAsync(string input, SendMode mode = SendMode.Reject, CancellationToken ct = default) => throw new NotImplementedException();

    /// <summary>Sends any method and returns its result.</summary>
    /// <exception cref="PodRefusedException">The Pod refused.</exception>
    /// <exception cref="IOException">The connection ended before the reply.</exception>
    public Task<ReplyResult> AskAsync(Method method, CancellationToken ct = default) => throw new NotImplementedException();

    /// <summary>What the Pod does now.</summary>
    public Task<PodStatus> StatusAsync(CancellationToken ct = default) => throw new NotImplementedException();

    /// <summary>Entries from a seq on: replay, then live, without gap or double; re-attaches by itself after a gap.</summary>
    public IAsyncEnumerable<PodMessage> AttachAsync(long fromSeq = 1, CancellationToken ct = default) => throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
