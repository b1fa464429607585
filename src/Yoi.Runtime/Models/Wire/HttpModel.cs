using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Text;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>
/// A model behind HTTP: sends requests, repeats those that failed before anything was handed out or broke off, keeps limits of time. The key goes
/// to the configured origin only: redirects are never followed. Idle connections close after seconds, so an idle Pod has none.
/// </summary>
internal sealed class HttpModel : IModel
{
    /// <summary>Of an answer that is no stream, this much is read.</summary>
    private const int MaxErrorBytes = 64 << 10;

    /// <summary>Long enough for the tools between two requests of a run, short enough for an idle Pod to come to rest.</summary>
    private static readonly TimeSpan IdleConnection = TimeSpan.FromSeconds(20);

    /// <summary>A shorter wait before the next try is nobody's news.</summary>
    private static readonly TimeSpan WorthTelling = TimeSpan.FromSeconds(1);

    private readonly IWire _wire;
    private readonly Uri _endpoint;
    private readonly Key _key;
    private readonly ModelTiming _timing;
    private readonly TimeProvider _time;
    private readonly Retry _retry;
    private HttpClient? _client;

    /// <exception cref="ModelException">Base address or key cannot be used.</exception>
    internal HttpModel(IWire wire, string? baseUrl, string? key, ModelTiming timing, TimeProvider time, Random? jitter = null)
    {
        (_wire, _timing, _time) = (wire, timing, time);
        _endpoint = Endpoint(wire, baseUrl);
        _key = new Key(key);
        _retry = new Retry(timing, time, jitter ?? Random.Shared);
    }

    public async IAsyncEnumerable<ModelEvent> StreamAsync(ModelRequest request, [EnumeratorCancellation] CancellationToken ct)
    {
        var body = _wire.Write(request);
        for (var tries = 1; ; tries++)
        {
            var produced = false;
            ModelException? failure = null;
            using (var deadline = new Deadline(_time, ct))
            {
                await using var events = TryAsync(body, _wire.Read(request), deadline, ct).GetAsyncEnumerator(ct);
                while (failure is null)
                {
                    ModelEvent? next = null;
                    try
                    {
                        if (!await events.MoveNextAsync())
                            yield break;
                        next = events.Current;
                    }
                    catch (ModelException e)
                    {
                        failure = e;
                    }
                    if (next is null)
                        continue;
                    produced |= next is not ModelEvent.UsageSoFar;
                    yield return next;
                }
            }
            ct.ThrowIfCancellationRequested();
            var hidden = _key.Hide(failure, produced);
            var wait = _retry.WaitOrThrow(hidden, tries);
            if (produced || wait >= WorthTelling)
                yield return new ModelEvent.WaitsForRetry(hidden.Message, wait, tries, _timing.MaxTries, Anew: produced);
            await Task.Delay(wait, _time, ct);
        }
    }

    public void Dispose() => _client?.Dispose();

    private static Uri Endpoint(IWire wire, string? baseUrl)
    {
        if (!Uri.TryCreate(baseUrl ?? wire.DefaultBaseUrl, UriKind.Absolute, out var url) || (url.Scheme != Uri.UriSchemeHttps && url.Scheme != Uri.UriSchemeHttp)
            || url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            // The address is not repeated: it may hold a password.
            throw new ModelException(ModelFailure.BadRequest,
                $"the model's base URL must be http or https, a host and perhaps a path, like {wire.DefaultBaseUrl}; no user, query or fragment", produced: false, retryable: false);
        }
        var origin = url.GetLeftPart(UriPartial.Path).TrimEnd('/');
        // Anthropic's base address is written with and without its version.
        if (wire.Path.StartsWith("/v1/", StringComparison.Ordinal) && origin.EndsWith("/v1", StringComparison.Ordinal))
            origin = origin[..^3];
        return new Uri(origin + wire.Path);
    }

    private async IAsyncEnumerable<ModelEvent> TryAsync(byte[] body, MessageStream message, Deadline deadline, [EnumeratorCancellation] CancellationToken ct)
    {
        using var response = await SendAsync(body, deadline, ct);
        await RefuseAllButStreamsAsync(response, deadline, ct);
        await using var bytes = new BoundedStream(await response.Content.ReadAsStreamAsync(ct), deadline, _timing);
        await foreach (var next in EventStream.ReadAsync(bytes, message, deadline, ct))
            yield return next;
    }

    private async Task<HttpResponseMessage> SendAsync(byte[] body, Deadline deadline, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _endpoint);
        request.Content = new RequestBody(body, connected: () => deadline.Start(_timing.FirstEventMs, "the provider did not begin to answer"));
        _wire.Authorize(request.Headers, _key.Value);
        deadline.Start(_timing.ConnectMs, $"no connection to {_endpoint.Authority}");
        try
        {
            return await Client().SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested && deadline.Failure is { } failure)
        {
            throw failure;
        }
        catch (HttpRequestException e)
        {
            ct.ThrowIfCancellationRequested();
            throw NotConnected(e);
        }
    }

    private ModelException NotConnected(HttpRequestException e)
    {
        var untrusted = e.InnerException is AuthenticationException;
        var what = e.HttpRequestError switch
        {
            HttpRequestError.NameResolutionError => $"the name {_endpoint.Host} could not be resolved",
            HttpRequestError.SecureConnectionError => $"no secure connection to {_endpoint.Authority}",
            HttpRequestError.ConnectionError => $"no connection to {_endpoint.Authority}",
            _ when e.InnerException is SocketException => $"no connection to {_endpoint.Authority}",
            _ => $"{_endpoint.Authority} gave no answer",
        };
        var cause = (e.InnerException?.Message ?? e.Message) + (_endpoint.IsLoopback ? "; start the server there, or name another with --base-url" : "");
        return new ModelException(ModelFailure.Connect, ProviderError.Plain($"{what}: {cause}", 500), produced: false, retryable: !untrusted, e);
    }

    private async Task RefuseAllButStreamsAsync(HttpResponseMessage response, Deadline deadline, CancellationToken ct)
    {
        var type = response.Content.Headers.ContentType?.MediaType;
        if (response.StatusCode == HttpStatusCode.OK && type is null or "text/event-stream")
            return;
        if ((int)response.StatusCode is >= 300 and < 400)
        {
            throw new ModelException(ModelFailure.BadRequest,
                $"{_endpoint.Authority} redirects (status {(int)response.StatusCode}) to {ProviderError.Plain(response.Headers.Location?.ToString() ?? "nowhere", 200)}; "
                + "redirects are not followed, so that the key stays where it belongs: configure the right base URL", produced: false, retryable: false);
        }
        var body = await BeginningAsync(response, deadline, ct);
        if (response.IsSuccessStatusCode && !body.Contains("\"error\"", StringComparison.Ordinal))
        {
            throw new ModelException(ModelFailure.Malformed,
                $"{_endpoint.Authority} answered {type ?? "something"} (status {(int)response.StatusCode}) instead of an event stream: {ProviderError.Plain(body, 200)}", produced: false, retryable: false);
        }
        throw ProviderError.InAnswer(response.StatusCode, body, _retry.Asked(response.Headers));
    }

    private static async Task<string> BeginningAsync(HttpResponseMessage response, Deadline deadline, CancellationToken ct)
    {
        var buffer = new byte[MaxErrorBytes];
        var length = 0;
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(deadline.Token);
            while (length < buffer.Length && await stream.ReadAsync(buffer.AsMemory(length), deadline.Token) is > 0 and var read)
                length += read;
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
        {
            // What came of the body is enough: the status has said that it failed.
            ct.ThrowIfCancellationRequested();
        }
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    /// <summary>Made at the first request: a Pod that never asks never pays.</summary>
    private HttpClient Client() => _client ??= new HttpClient(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        UseProxy = !_endpoint.IsLoopback,
        PooledConnectionIdleTimeout = IdleConnection,
        ActivityHeadersPropagator = null,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestHeaders = { { "Accept", "text/event-stream" }, { "User-Agent", "yoi" } },
    };
}
