using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>What a group says of how its command ended, in a group of the test's own.</summary>
public sealed class CommandGroupTests : IAsyncLifetime
{
    private MemoryGroup? _above;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_above is not null) await _above.RemoveAsync();
    }

    [Theory, Trait("case", "F12"), Trait("case", "S18")]
    [InlineData(64, 1024, "Elsewhere")]
    [InlineData(1024, 64, "Limit")]
    [InlineData(1024, 1024, "None")]
    public async Task Whose_memory_ran_out_is_known(int above, int own, string expected)
    {
        _above = MemoryGroup.TryMake(above);
        if (_above is null) Assert.Skip(MemoryGroup.Needed);
        Needs.Programs("/usr/bin/python3");
        var group = CommandGroup.TryMake([_above.Root with { Directory = _above.Directory }], new CommandLimits(MemoryMb: own))!;
        var inside = Directory.GetDirectories(_above.Directory, "yoi-*").Single();
        using var hungry = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"echo 0 > {inside}/cgroup.procs && exec /usr/bin/python3 -c 'x = bytearray(200 << 20)'"]))!;
        await hungry.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(expected == "None" ? 0 : 128 + 9, hungry.ExitCode);
        Assert.Equal(expected, group.Reached().Memory.ToString());
        await Eventually.Holds(() =>
        {
            group.Remove();
            return !Directory.Exists(inside);
        });
    }
}
