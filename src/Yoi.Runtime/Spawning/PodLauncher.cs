using System.Buffers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Runtime.Spawning;

/// <summary>A Pod process that said it is ready.</summary>
/// <param name="StartTime">Field 22 of <c>/proc/PID/stat</c>: with pid and boot id it names a process for good.</param>
/// <param name="Process">Belongs to the caller.</param>
internal sealed record LaunchedPod(int Pid, string StartTime, string BootId, string Socket, PodProcess Process);

/// <summary>A Pod process could not be started; carries its own words.</summary>
/// <param name="step">The step that failed: <c>exec</c>, <c>ready</c>, …</param>
internal sealed class LaunchException(string step, string message) : Exception(message)
{
    internal string Step { get; } = step;
}

/// <summary>
/// Starts Pod processes (<c>yoi serve</c>) in a session of their own, hands over the launch document on stdin and waits for the
/// answer on the inherited channel; no polling. Used by the command line for roots and by ChildSpawner for children.
/// </summary>
internal static class PodLauncher
{
    /// <summary>Longest answer, and how much of a Pod's last words is quoted.</summary>
    private const int MaxAnswer = 64 * 1024, MaxWords = 4 * 1024;

    /// <summary>Nobody waits longer for a Pod to say that it is ready.</summary>
    internal static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(2);

    /// <summary>Starts one; returns when it is ready to take work.</summary>
    /// <exception cref="LaunchException">It exited or said why it cannot; nothing of it runs any more, and no directory of a new Pod is left.</exception>
    internal static Task<LaunchedPod> StartAsync(LaunchDocument document, LaunchSecrets secrets, TimeSpan limit, CancellationToken ct) =>
        StartAsync(PodProgram.Own(), document, secrets, limit, TimeProvider.System, ct);

    /// <summary>The same with another program in the place of our own.</summary>
    internal static async Task<LaunchedPod> StartAsync(
        PodProgram program, LaunchDocument document, LaunchSecrets secrets, TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        var directory = document.Directories.Pod(document.Name, document.PodId);
        var isNew = !Directory.Exists(directory);
        PrivateDirectories.Create(document.Directories.State, document.Directories.Pods, document.Directories.Runtime, directory);
        using var hold = LaunchHold.Take(directory);
        var stderr = Path.Combine(directory, PodFiles.Stderr);
        var before = File.Exists(stderr) ? new FileInfo(stderr).Length : 0;
        if (before > StderrLog.MaxBytes) before = 0;
        var ready = false;
        var gone = true;
        try
        {
            var (process, socket) = Execute(program, document.KeySource, stderr, emptyStderr: before == 0);
            using var _ = socket;
            try
            {
                var answer = await TalkAsync(socket, document, secrets, limit, time, ct);
                if (answer is { Ready: true })
                {
                    ready = true;
                    return new LaunchedPod(process.Pid, process.StartTime, ProcessStat.BootId, answer.Socket ?? document.Directories.Socket(document.PodId), process);
                }
                var exit = answer is null || answer.Error is not null ? await process.ExitedWithin(EndLimit, time, ct) : null;
                throw new LaunchException("ready", Failure(answer, exit, stderr, before));
            }
            catch (TimeoutException)
            {
                throw new LaunchException("ready", $"the Pod process did not say that it is ready within {limit.TotalSeconds:0.#} s{Words(stderr, before)}");
            }
            finally
            {
                if (!ready) gone = await KillAsync(process, time);
            }
        }
        finally
        {
            // A Pod that never was: it must not be the newest of its name.
            if (isNew && !ready && gone) EndRecord.RemoveNeverBegun(directory);
        }
    }

    private static (PodProcess Process, NetSocket Socket) Execute(PodProgram program, string keySource, string stderr, bool emptyStderr)
    {
        var (ours, theirs) = Libc.StreamPair();
        try
        {
            Failpoint.Pass(Failpoints.SpawnExec);
            var process = PodProcess.Start(() => NativeSpawn.Start(program, PodProgram.PodEnvironment(keySource), theirs, stderr, emptyStderr));
            return (process, new NetSocket(ours));
        }
        catch (LinuxException e)
        {
            ours.Dispose();
            throw new LaunchException("exec", $"the Pod process could not be started: {e.Message}");
        }
        finally
        {
            theirs.Dispose();
        }
    }

    /// <summary>Hands over the two lines while waiting for the answer; null if the process closed its end without one.</summary>
    private static async Task<LaunchAnswer?> TalkAsync(
        NetSocket socket, LaunchDocument document, LaunchSecrets secrets, TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        using var limited = new CancellationTokenSource(limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limited.Token);
        try
        {
            var handing = HandOverAsync(socket, document, secrets, both.Token);
            var answer = await ReceiveAsync(socket, both.Token);
            await both.CancelAsync(); // An answer settles it, read or not.
            await handing;
            return answer;
        }
        catch (OperationCanceledException) when (limited.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new TimeoutException();
        }
    }

    private static async Task HandOverAsync(NetSocket socket, LaunchDocument document, LaunchSecrets secrets, CancellationToken ct)
    {
        byte[] lines = [
            .. JsonSerializer.SerializeToUtf8Bytes(document, LaunchJson.Default.LaunchDocument), (byte)'\n',
            .. JsonSerializer.SerializeToUtf8Bytes(secrets, LaunchJson.Default.LaunchSecrets), (byte)'\n'];
        try
        {
            for (var sent = 0; sent < lines.Length;) sent += await socket.SendAsync(lines.AsMemory(sent), SocketFlags.None, ct);
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // It ended or answered before it had read everything: the answer, or its absence, decides.
        }
    }

    private static async Task<LaunchAnswer?> ReceiveAsync(NetSocket socket, CancellationToken ct)
    {
        var line = new ArrayBufferWriter<byte>(512);
        while (line.WrittenCount < MaxAnswer)
        {
            int read;
            try
            {
                read = await socket.ReceiveAsync(line.GetMemory(512), SocketFlags.None, ct);
            }
            catch (SocketException)
            {
                read = 0; // Reset: it ended with some of our lines unread.
            }
            if (read == 0) return null;
            line.Advance(read);
            if (line.WrittenSpan.IndexOf((byte)'\n') is var end and >= 0) return Parse(line.WrittenSpan[..end]);
        }
        return new LaunchAnswer(false, 0, null, "it wrote something that is no answer to its stdout");
    }

    private static LaunchAnswer Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, LaunchJson.Default.LaunchAnswer)!;
        }
        catch (JsonException)
        {
            return new LaunchAnswer(false, 0, null, "it wrote to its stdout, instead of an answer: " + Encoding.UTF8.GetString(line[..Math.Min(line.Length, 200)]));
        }
    }

    private static string Failure(LaunchAnswer? answer, ProcessExit? exit, string stderr, long before) => (answer, exit) switch
    {
        ({ Error: { } error }, _) => error,
        (_, { } ended) => $"the Pod process ended before it was ready ({ended}){Words(stderr, before)}",
        _ => $"the Pod process closed its stdout without an answer{Words(stderr, before)}",
    };

    /// <summary>What it wrote to stderr since it was started, the end of it if it is much.</summary>
    private static string Words(string stderr, long before)
    {
        if (!File.Exists(stderr)) return "";
        using var file = File.OpenHandle(stderr, share: FileShare.ReadWrite | FileShare.Delete);
        var length = RandomAccess.GetLength(file);
        var bytes = new byte[Math.Min(Math.Max(0, length - before), MaxWords)];
        var read = RandomAccess.Read(file, bytes, length - bytes.Length);
        var text = Encoding.UTF8.GetString(bytes, 0, read).Trim();
        return text.Length == 0 ? "; it said nothing on stderr" : $"; its last words on stderr: {text}";
    }

    private static async Task<bool> KillAsync(PodProcess process, TimeProvider time)
    {
        process.Signal(Libc.SigKill);
        var gone = await process.ExitedWithin(EndLimit, time, CancellationToken.None) is not null;
        process.Dispose();
        return gone;
    }
}
