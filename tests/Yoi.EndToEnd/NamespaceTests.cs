using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>Pods in two pid namespaces, as in two containers, share one state root: each has its own numbers for processes.</summary>
public sealed class NamespaceTests : IAsyncDisposable
{
    private const int Refusal = 3;

    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "L19")]
    public async Task Pods_of_two_pid_namespaces_are_judged_by_their_life_locks_and_never_signalled_across()
    {
        Needs.Namespaces();
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server, "tools-only");
        var (inside, outside) = (Directory.CreateDirectory(_room.Root + "/inside").FullName, Directory.CreateDirectory(_room.Root + "/outside").FullName);
        var script = $"""
            yoi={YoiRoom.Program}
            $yoi start inner --write {inside} --json; read go
            $yoi stop --force outer; echo "code $?"; $yoi ps; read go
            $yoi start second --write {inside} --json; read go
            """;
        string[] user = Environment.UserName == "root" ? [] : ["--user", "--map-root-user"];
        await using var there = _room.Start("/usr/bin/unshare", [.. user, "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", script]);
        await there.SaysAsync("\"name\":\"inner\"");
        var pid = Pod("inner");
        var shown = (await _room.PodsAsync())["inner"];
        Assert.Equal(PodState.Idle.ToString(), shown.GetProperty("state").GetString(), ignoreCase: true); // Its socket is reached, and its lock seen.
        Assert.NotEqual(pid, shown.GetProperty("pid").GetInt32());

        // Alive, held or not: it keeps its scope, and nobody signals a number that means somebody else here.
        Assert.Contains("inner", (await Start("taker", inside)).Expect(Refusal).Error, StringComparison.Ordinal);
        Assert.Equal(0, Libc.Kill(pid, Libc.SigStop));
        IsRefused(await _room.RunAsync("stop", "--force", "inner"));
        IsRefused(await _room.RunAsync("stop", "inner"));
        Assert.Equal(pid, Pod("inner"));
        Assert.Contains("inner", (await Start("taker", inside)).Expect(Refusal).Error, StringComparison.Ordinal);
        Assert.Equal(0, Libc.Kill(pid, Libc.SigCont));

        // The same from the other side.
        (await Start("outer", outside)).Expect(0);
        await there.TypeAsync("\n");
        await there.SaysAsync($"code {Refusal}");
        Assert.Contains("outer` runs in another pid namespace", there.Error, StringComparison.Ordinal);
        await there.SaysAsync("outer"); // Alive, by its lock.
        Assert.Equal(2, (await _room.PodsAsync()).Values.Count(row => row.GetProperty("state").GetString() == "idle"));

        // Asked, it ends; killed, its lock is free, and its scope with it.
        (await _room.RunAsync("stop", "inner")).Expect(0);
        Assert.Equal(PodEnd.Stopped, Assert.IsType<Entry.PodEnded>(_room.Journal("inner")[^1]).Reason);
        await there.TypeAsync("\n");
        await there.SaysAsync("\"name\":\"second\"");
        using (var second = Process.GetProcessById(Pod("second"))) second.Kill();
        // Nobody in there buries it, and its first thread may be a zombie while others still hold its locks.
        await _room.PodsAsync(pods => pods["second"].GetProperty("state").GetString() == "dead");
        (await Start("taker", inside)).Expect(0);
        (await _room.RunAsync("stop", "second", "taker", "outer")).Expect(0);
        await there.TypeAsync("\n");
        there.EndInput();
        await there.EndAsync();
    }

    private Task<YoiResult> Start(string name, string directory) => _room.RunAsync("start", name, "--write", directory, "--json");

    private static void IsRefused(YoiResult result) =>
        Assert.Contains("runs in another pid namespace (a container): from here its pid is another process's, so nobody was signalled", result.Expect(Refusal).Error.ReplaceLineEndings(" "), StringComparison.Ordinal);

    /// <summary>As it is called here: its lock is open in it.</summary>
    private int Pod(string name)
    {
        var directory = Directory.GetDirectories(_room.Directories.Pods, name + ".*").Single();
        return _room.Processes().Single(process => DescriptorsOf(process.Pid).Any(fd => new FileInfo(fd).LinkTarget == $"{directory}/{PodFiles.Lock}")).Pid;
    }

    private static string[] DescriptorsOf(int pid)
    {
        try
        {
            return Directory.GetFiles($"/proc/{pid}/fd");
        }
        catch (DirectoryNotFoundException)
        {
            return []; // Gone since it was listed.
        }
    }
}
