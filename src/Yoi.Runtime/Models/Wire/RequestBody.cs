using System.Net;
using System.Net.Http.Headers;

namespace Yoi.Runtime.Models.Wire;

/// <summary>A request's body. It is asked for once the connection stands: that is where the limit for connecting ends.</summary>
internal sealed class RequestBody : HttpContent
{
    private readonly byte[] _bytes;
    private readonly Action _connected;

    internal RequestBody(byte[] bytes, Action connected)
    {
        (_bytes, _connected) = (bytes, connected);
        Headers.ContentType = new MediaTypeHeaderValue("application/json");
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        _connected();
        await stream.WriteAsync(_bytes, cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _bytes.Length;
        return true;
    }
}
