using System.Net.Http.Headers;

namespace Yoi.Runtime.Models.Wire;

/// <summary>What differs between providers that speak HTTP: the address, the key's header, a request's bytes, a stream's meaning.</summary>
internal interface IWire
{
    /// <summary>Base address if none is configured.</summary>
    string DefaultBaseUrl { get; }

    /// <summary>Path of the one resource that is used, behind the base address.</summary>
    string Path { get; }

    /// <summary>The request's body: a pure function of the request. A longer conversation's body begins with the same bytes.</summary>
    byte[] Write(ModelRequest request);

    /// <summary>Adds headers, the key's among them.</summary>
    void Authorize(HttpRequestHeaders headers, string? key);

    /// <summary>A reader for one answer to <paramref name="request"/>.</summary>
    MessageStream Read(ModelRequest request);
}
