using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Yoi.Shared;

/// <summary>A request exactly as it came, and on which connection. <see cref="Gone"/> ends when the client has left or the answer is sent.</summary>
public sealed record ReceivedRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers, byte[] Body, string Connection, Task Gone);

/// <summary>
/// A real HTTP server on loopback that speaks both wires (<c>/v1/messages</c>, <c>/v1/chat/completions</c>). It answers from its queue;
/// when that is empty, with <c>otherwise</c>; by default it obeys the commands CALL, SLOW and ERR in the newest text.
/// </summary>
public sealed class ModelServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Func<ReceivedRequest, Answer> _otherwise;
    private readonly ConcurrentQueue<Answer> _answers = new();
    private readonly ConcurrentQueue<ReceivedRequest> _requests = new();
    private readonly SemaphoreSlim _arrived = new(0);

    private ModelServer(Func<ReceivedRequest, Answer>? otherwise)
    {
        _otherwise = otherwise ?? ServerCommands.Answer;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, 0);
            options.Limits.MaxRequestBodySize = null;
        });
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    /// <summary>Like <c>http://127.0.0.1:4711</c>: Anthropic's base URL.</summary>
    public string Origin { get; private set; } = "";

    /// <summary>OpenAI's base URL.</summary>
    public string OpenAiBaseUrl => Origin + "/v1";

    /// <summary>All requests in the order in which they came.</summary>
    public IReadOnlyList<ReceivedRequest> Requests => [.. _requests];

    public static async Task<ModelServer> StartAsync(Func<ReceivedRequest, Answer>? otherwise = null)
    {
        var server = new ModelServer(otherwise);
        await server._app.StartAsync();
        server.Origin = server._app.Urls.Single();
        return server;
    }

    /// <summary>Answers to the next requests, in this order.</summary>
    public void Enqueue(params Answer[] answers)
    {
        foreach (var answer in answers)
            _answers.Enqueue(answer);
    }

    /// <summary>Waits for one more request than was waited for before.</summary>
    public Task ArrivedAsync(CancellationToken ct) => _arrived.WaitAsync(ct);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        _arrived.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        var request = new ReceivedRequest(context.Request.Method, context.Request.Path, headers, body.ToArray(), context.Connection.Id, gone.Task);
        _requests.Enqueue(request);
        _arrived.Release();
        try
        {
            if (!_answers.TryDequeue(out var answer))
                answer = _otherwise(request);
            await SendAsync(context, answer);
        }
        catch (OperationCanceledException)
        {
            context.Abort();
        }
        finally
        {
            gone.TrySetResult();
        }
    }

    private static async Task SendAsync(HttpContext context, Answer answer)
    {
        var ct = context.RequestAborted;
        var frames = answer.Raw is { } raw ? [raw]
            : context.Request.Path.Value!.EndsWith("/messages", StringComparison.Ordinal) ? AnthropicFrames.Of(answer) : OpenAiFrames.Of(answer);
        context.Response.StatusCode = answer.Status;
        if (answer.ContentType.Length > 0)
            context.Response.ContentType = answer.ContentType;
        // A promise that is not kept makes Kestrel close the connection behind the last byte; an abort would take back what was sent.
        if (answer.CutAfter > 0)
            context.Response.ContentLength = long.MaxValue;
        foreach (var (name, value) in answer.Headers)
            context.Response.Headers[name] = value;
        for (var i = 0; i <= frames.Count; i++)
        {
            if (answer.Before is { } gate)
                await gate(i, ct);
            if (i == answer.CutAfter)
            {
                if (i == 0)
                    context.Abort();
                return;
            }
            if (i == frames.Count)
                break;
            await context.Response.Body.WriteAsync(frames[i], ct);
            await context.Response.Body.FlushAsync(ct);
        }
    }
}

/// <summary>The recorded mock's language, spoken over HTTP.</summary>
internal static class ServerCommands
{
    private static int _lastCall;

    internal static Answer Answer(ReceivedRequest request)
    {
        var (texts, afterResults) = Newest.Of(request.Body);
        if (afterResults)
            return Shared.Answer.Says("done");
        List<Piece> calls = [];
        foreach (var words in texts.SelectMany(text => text.Split('\n')).Select(line => line.Trim().Split(' ', 3)))
        {
            switch (words)
            {
                case ["ERR"]:
                    return Shared.Answer.Fails(500, "overloaded_error", "mock refusal");
                case ["SLOW", var ms]:
                    var stall = TimeSpan.FromMilliseconds(int.Parse(ms, CultureInfo.InvariantCulture));
                    var first = request.Path.EndsWith("/messages", StringComparison.Ordinal) ? 4 : 2;
                    return Greeting() with { Before = (frame, ct) => frame == first ? StallAsync(stall, ct) : Task.CompletedTask };
                case ["CALL", var tool, ..]:
                    calls.Add(new Piece.Call($"toolu_{Interlocked.Increment(ref _lastCall):D8}", tool, words.ElementAtOrDefault(2) ?? "{}"));
                    break;
            }
        }
        return calls.Count > 0 ? new Answer { Pieces = calls } : Greeting();
    }

    /// <summary>What SLOW asks for is time itself, as a provider's silence; nothing here waits for something else to happen.</summary>
    private static async Task StallAsync(TimeSpan stall, CancellationToken ct)
    {
        using var timer = new PeriodicTimer(stall > TimeSpan.Zero ? stall : TimeSpan.FromMilliseconds(1), TimeProvider.System);
        await timer.WaitForNextTickAsync(ct);
    }

    private static Answer Greeting() => Shared.Answer.Says("Hello", " from the", " mock.");
}
