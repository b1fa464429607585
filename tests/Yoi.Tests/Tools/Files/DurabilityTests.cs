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
}
