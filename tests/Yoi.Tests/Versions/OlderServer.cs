using System.Net.Sockets;
using System.Text.Json.Nodes;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Versions;

/// <summary>A socket that answers as a Pod of format 1 answered when it was recorded; of methods it knows what was known then.</summary>
internal sealed class OlderServer : IAsyncDisposable
{
    private readonly NetSocket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<string> _answers = [.. OlderAndNewerTests.Recorded("wire.jsonl").Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    private readonly Func<string, string> _change;
    private readonly Action _shutdown;
    private readonly Task _serving;

    private OlderServer(string socket, Action shutdown, Func<string, string> change)
    {
        (_shutdown, _change) = (shutdown, change);
        Directory.CreateDirectory(Path.GetDirectoryName(socket)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        _listener.Bind(new UnixDomainSocketEndPoint(socket));
        _listener.Listen();
        _serving = AcceptAsync();
    }

    /// <summary>How often it was asked to end.</summary>
    internal int Shutdowns { get; private set; }

    /// <param name="shutdown">What the end of the Pod is.</param>
    /// <param name="change">How the lines are otherwise.</param>
    internal static OlderServer Start(string socket, Action shutdown, Func<string, string>? change = null) => new(socket, shutdown, change ?? (line => line));

    private async Task AcceptAsync()
    {
        List<Task> open = [];
        try
        {
            while (true) open.Add(ServeAsync(await _listener.AcceptAsync()));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
        await Task.WhenAll(open);
    }

    private async Task ServeAsync(NetSocket socket)
    {
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        using var reader = new StreamReader(stream);
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                var request = JsonNode.Parse(line)!;
                var answer = JsonNode.Parse(Answer((string)request["method"]!, request))!;
                answer["id"] = request["id"]!.DeepClone();
                await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(_change(answer.ToJsonString()) + "\n"));
            }
        }
        catch (IOException)
        {
            // The client went away.
        }
    }

    private string Answer(string method, JsonNode request)
    {
        if (method == "shutdown")
        {
            Shutdowns++;
            _shutdown();
            return """{"result":{}}""";
        }
        return _answers[method switch
        {
            "hello" => (int)request["params"]!["min_version"]! > 1 ? 4 : 0,
            "status" => 1,
            "read" => 2,
            _ => 3,
        }];
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _serving;
    }
}
