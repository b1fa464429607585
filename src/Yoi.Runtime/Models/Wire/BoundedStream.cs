using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>
/// An answer's bytes on their way to the parser: keeps the time limit, bounds what one event may hold in memory, and closes a
/// last event whose blank line never came. A server that stops in the middle of an event shows as <see cref="Ended"/>.
/// </summary>
internal sealed class BoundedStream(Stream inner, Deadline deadline, ModelTiming timing) : Stream
{
    /// <summary>Longest event, comments before it included.</summary>
    internal const int MaxEventBytes = 16 << 20;

    private static readonly byte[] BlankLine = "\n\n"u8.ToArray();
    private long _sinceEvent;
    private bool _begun;

    /// <summary>True once the server has closed the stream.</summary>
    internal bool Ended { get; private set; }

    /// <summary>The silence that is borne from now on, in milliseconds.</summary>
    internal int SilenceMs { get; set; } = timing.SilenceMs;

    /// <summary>The parser has finished an event: its bytes are no longer held.</summary>
    internal void EventTaken() => _sinceEvent = 0;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Ended || buffer.IsEmpty)
            return 0;
        if (_begun)
            deadline.Start(SilenceMs, "the provider's stream fell silent: nothing came");
        var read = await inner.ReadAsync(buffer, cancellationToken);
        deadline.Pause();
        _begun = true;
        if (read == 0)
        {
            Ended = true;
            var length = Math.Min(buffer.Length, BlankLine.Length);
            BlankLine.AsSpan(0, length).CopyTo(buffer.Span);
            return length;
        }
        _sinceEvent += read;
        if (_sinceEvent > MaxEventBytes)
            throw new ModelException(ModelFailure.Malformed, $"the provider sent an event above {MaxEventBytes >> 20} MiB", produced: false, retryable: false);
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
