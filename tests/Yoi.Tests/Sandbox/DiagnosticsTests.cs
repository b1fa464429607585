using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Xunit;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Sandbox;

/// <summary>The runtime's diagnostics socket, which obeys every process of the same user: it reads environments and loads code.</summary>
[Collection("sandbox")]
public sealed class DiagnosticsTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S09")]
    public async Task No_Pod_child_or_keeper_has_one_and_from_a_command_nobody_s_is_reached(string level)
    {
        SandboxRoom.SkipWithout(level);
        var root = await _room.Root(with: d => d with { SandboxLevel = level });
        Assert.False((await root.Spawn("child")).IsError);
        Assert.False((await root.Call("Bash", """{"command":"sleep 600","run_in_background":true}""")).IsError);

        // The same program as it would be by itself.
        var plain = new ProcessStartInfo(RealPod.Built, ["serve"]) { RedirectStandardInput = true, RedirectStandardOutput = true, Environment = { ["DOTNET_EnableDiagnostics"] = "1" } };
        using var open = Process.Start(plain)!;
        try
        {
            await Eventually.Holds(() => WaysInto(open.Id).Any(way => way.EndsWith("-socket", StringComparison.Ordinal)));
            var path = WaysInto(open.Id).Single(way => way.EndsWith("-socket", StringComparison.Ordinal));
            await Eventually.Holds(() => Connects(path)); // It has its name before it listens.

            var ours = All(root.Launched.Pid);
            Assert.Contains(root.Child("child").FindProcess()!.Pid, ours);
            Assert.InRange(ours.Count, level == "partial" ? 4 : 3, 20); // The keeper is one of them.
            Assert.All(ours, pid => Assert.Empty(WaysInto(pid)));

            var connect = $"/usr/bin/python3 -c 'import glob,socket\nfor p in glob.glob(\"{Path.GetDirectoryName(path)}/dotnet-diagnostic-*\") or [\"{path}\"]: socket.socket(socket.AF_UNIX).connect(p)'";
            var results = await root.Calls(Call("echo fine"), Call($"ls {path}"), Call(connect));
            Assert.Equal([false, level == "kernel", true], results.Select(result => result.IsError)); // At `partial` names can be seen.
        }
        finally
        {
            var left = WaysInto(open.Id); // A killed process leaves them.
            open.Kill();
            await open.WaitForExitAsync(_room.Ct);
            foreach (var path in left) File.Delete(path);
        }
    }

    private static bool Connects(string path)
    {
        using var client = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            client.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return false;
        }
    }

    private static string Call(string command) => "CALL Bash " + System.Text.Json.JsonSerializer.Serialize(new { command });

    /// <summary>The diagnostics socket, and the debugger's two pipes: named by pid and start time, because what was killed leaves its own.</summary>
    private static List<string> WaysInto(int pid)
    {
        using var process = PodProcess.Open(pid)!;
        var who = $"{pid}-{process.StartTime}-";
        return [.. Directory.EnumerateFiles(Path.GetTempPath(), "dotnet-diagnostic-" + who + "*"), .. Directory.EnumerateFiles(Path.GetTempPath(), "clr-debug-pipe-" + who + "*")];
    }

    /// <summary>A process and all below it.</summary>
    private static List<int> All(int pid)
    {
        List<int> found = [pid];
        for (var i = 0; i < found.Count; i++)
            foreach (var task in Directory.EnumerateDirectories($"/proc/{found[i]}/task"))
                found.AddRange(File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => int.Parse(word, CultureInfo.InvariantCulture)));
        return found;
    }
}
