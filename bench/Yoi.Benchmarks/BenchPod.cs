using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks;

/// <summary>A real Pod process and a client of it that follows its journal.</summary>
internal sealed class BenchPod : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly LaunchedPod _launched;
    private readonly LaunchDocument _document;
    private readonly PodClient _client;
    private readonly IAsyncEnumerator<PodMessage> _messages;

    private BenchPod(LaunchedPod launched, LaunchDocument document, PodClient client)
    {
        (_launched, _document, _client) = (launched, document, client);
        _messages = client.AttachAsync().GetAsyncEnumerator();
    }

    internal int Pid => _launched.Pid;
    internal string Socket => _launched.Socket;

    internal static Task<LaunchedPod> LaunchAsync(string binary, LaunchDocument document) => PodLauncher.StartAsync(
        new PodProgram(binary, [binary, "serve"]), document, new LaunchSecrets(null, null), Limit, TimeProvider.System, CancellationToken.None);

    internal static async Task<BenchPod> StartAsync(string binary, LaunchDocument document)
    {
        var launched = await LaunchAsync(binary, document);
        return new BenchPod(launched, document, await PodClient.ConnectAsync(launched.Socket));
    }

    /// <summary>
    /// Lets the Pod make one call: from the client's line to the call's result in the client's hands. Besides the tool that is a
    /// connection's round trip, a run's first three entries on disk and a scripted message; <c>Glob</c> in an empty folder shows what that costs.
    /// </summary>
    internal Task<TimeSpan> CallAsync(string tool, string arguments, bool mayFail = false) => CallsAsync(tool, arguments, 1, mayFail);

    /// <summary>The same call so many times in one turn, up to the last result.</summary>
    internal async Task<TimeSpan> CallsAsync(string tool, string arguments, int count, bool mayFail = false)
    {
        var began = Stopwatch.GetTimestamp();
        await _client.RunAsync(string.Join('\n', Enumerable.Repeat($"CALL {tool} {arguments}", count)), SendMode.Queue);
        for (var seen = 1; ; seen++)
        {
            var result = await SeeAsync<Entry.ToolResult>(_ => true);
            var taken = Stopwatch.GetElapsedTime(began);
            if (result.IsError && !mayFail) throw new InvalidOperationException($"{tool} {arguments}: {result.Summary}\n{result.Content}");
            if (seen < count) continue;
            await SeeAsync<Entry.RunEnded>(_ => true);
            return taken;
        }
    }

    /// <summary>A call that the model takes some time to write, as real ones do: from its whole message to the call's result, both in the client's hands.</summary>
    internal async Task<TimeSpan> WrittenCallAsync(string tool, string arguments, TimeSpan written)
    {
        await _client.RunAsync(string.Create(CultureInfo.InvariantCulture, $"SLOW {written.TotalMilliseconds:0}\nCALL {tool} {arguments}"), SendMode.Queue);
        await SeeAsync<Entry.Assistant>(_ => true);
        var began = Stopwatch.GetTimestamp();
        var result = await SeeAsync<Entry.ToolResult>(_ => true);
        var taken = Stopwatch.GetElapsedTime(began);
        if (result.IsError) throw new InvalidOperationException($"{tool} {arguments}: {result.Summary}\n{result.Content}");
        await SeeAsync<Entry.RunEnded>(_ => true);
        return taken;
    }

    /// <summary>What a call costs that does nothing: to be taken off the others. Its folder is made here.</summary>
    internal Task<TimeSpan> EmptyCallAsync()
    {
        Directory.CreateDirectory(Path.Combine(_document.Cwd, "nothing"));
        return CallAsync("Glob", """{"pattern":"*","path":"nothing"}""");
    }

    /// <summary>Lets the Pod run a command, which must end with 0.</summary>
    internal Task<TimeSpan> BashAsync(string command) => CallAsync("Bash", $$"""{"command":"{{JsonEncodedText.Encode(command)}}","timeout":600000}""");

    internal Task<PodStatus> StatusAsync() => _client.StatusAsync();

    /// <summary>The first entry of a kind, from the journal's beginning.</summary>
    internal async Task<T> SeeFirstAsync<T>() where T : Entry
    {
        await foreach (var message in _client.AttachAsync())
            if (message is PodMessage.Entered { Entry: T entry }) return entry;
        throw new IOException($"the Pod ended before a {typeof(T).Name}");
    }

    /// <summary>Follows the journal up to the next entry that fits.</summary>
    internal async Task<T> SeeAsync<T>(Func<T, bool> fits) where T : Entry
    {
        while (await _messages.MoveNextAsync().AsTask().WaitAsync(Limit))
            if (_messages.Current is PodMessage.Entered { Entry: T entry } && fits(entry)) return entry;
        throw new IOException($"the Pod ended before a {typeof(T).Name}");
    }

    /// <summary>Stops the Pod and all that it spawned.</summary>
    public async ValueTask DisposeAsync()
    {
        using var table = new ScopeTable(_document.Directories, TimeProvider.System);
        var pod = new KnownPod(_document.Name, _document.PodId, _document.Directories.Pod(_document.Name, _document.PodId));
        await new TreeStopper(_document.Directories, table, TimeProvider.System).StopAsync(pod, "the benchmark", force: false, CancellationToken.None);
        await _messages.DisposeAsync();
        await _client.DisposeAsync();
        _launched.Process.Dispose();
    }

    /// <summary>Ends Pods that nobody is connected to.</summary>
    internal static async Task EndAsync(IEnumerable<LaunchedPod> pods)
    {
        foreach (var pod in pods)
        {
            pod.Process.Signal(Libc.SigTerm);
            await pod.Process.Exited.WaitAsync(Limit);
            pod.Process.Dispose();
        }
    }
}
