using Xunit;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

/// <summary>What the kernel was asked, in which order.</summary>
public sealed class DurabilityTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory, Trait("case", "G13")]
    [InlineData("write", "d/f", "Overwrote")]
    [InlineData("create", "new/deep/f", "Created")]
    public async Task File_and_directory_are_durable_before_the_result_is_told(string what, string path, string told)
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        _room.Put("d/f", "old");
        var log = _room.Root + "/log";
        string[] strace = ["strace", "-f", "-y", "-qq", "-o", log, "-e", "trace=fsync,renameat,renameat2,mkdirat,write"];
        using var worker = DoorWorker.StartIn(_room.W, strace, what, path);
        Assert.StartsWith(told, await worker.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await worker.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("written by a worker", File.ReadAllText($"{_room.W}/{path}"));

        var calls = (await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken)).ToList();
        int At(string call, string argument, int from = 0) => calls.FindIndex(
            Math.Max(from, 0), line => line.Contains(call, StringComparison.Ordinal) && line.Contains(argument, StringComparison.Ordinal));
        var directory = $"{_room.W}/{Path.GetDirectoryName(path)}";
        var content = At("fsync(", $"<{directory}/.yoi-");
        var rename = At("renameat", $"<{directory}>, \"f\"");
        var settled = At("fsync(", $"<{directory}>", rename);
        var result = At("write(", $"\"{told}");
        Assert.True(content >= 0 && content < rename && rename < settled && settled < result, $"content {content}, rename {rename}, directory {settled}, result {result}:\n{string.Join('\n', calls)}");
        if (what == "create")
            foreach (var made in (string[])["", "/new"]) Assert.InRange(At("fsync(", $"<{_room.W}{made}>"), 0, content);
    }

    [Theory, Trait("case", "G13")]
    [InlineData("write", "d/f", null, "Overwrote", "written by a worker")] // The controls.
    [InlineData("write-in-place", "d/f", null, "Overwrote", "written by a worker")]
    [InlineData("write", "d/f", "file.sync", "nothing was changed", "old")]
    [InlineData("write-in-place", "d/f", "file.sync", "it had to be written in place, so what it holds now is not certain; read it again", "written by a worker")]
    [InlineData("write", "d/f", "file.directory_sync", "it has its new content, which a power failure may still take back", "written by a worker")]
    [InlineData("create", "d/new", "file.sync", "nothing was changed", null)]
    [InlineData("create", "d/new", "file.directory_sync", "it has its new content, which a power failure may still take back", "written by a worker")]
    [InlineData("create", "d/e/new", "file.directory_sync", "it is there, and nothing was written in it", null)]
    public async Task What_a_disk_that_fails_to_sync_leaves_is_told_as_it_is(string what, string path, string? step, string told, string? left)
    {
        foreach (var (action, errno) in ((string, int)[])[("eio", 5), ("enospc", 28)])
        {
            _room.Put("d/f", "old");
            File.Delete(_room.W + "/d/new");
            if (Directory.Exists(_room.W + "/d/e")) Directory.Delete(_room.W + "/d/e");
            using var worker = DoorWorker.Start(_room.W, what, path, [.. step is null ? Array.Empty<(string, string)>() : [("YOI_FAILPOINT", $"{step}:{action}")]]);
            var said = await worker.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await worker.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(step is null ? 0 : 3, worker.ExitCode);
            Assert.Contains(told, said, StringComparison.Ordinal);
            if (step is not null)
            {
                Assert.StartsWith("refused: cannot make durable", said, StringComparison.Ordinal);
                Assert.Contains($"(errno {errno})", said, StringComparison.Ordinal);
            }
            Assert.Equal(left, File.Exists($"{_room.W}/{path}") ? File.ReadAllText($"{_room.W}/{path}") : null);
            Assert.Equal(path == "d/e/new", Directory.Exists(_room.W + "/d/e"));
            _room.AssertNoSpareFiles();
        }
    }
}
