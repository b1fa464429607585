using System.Globalization;
using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Shared;

namespace Yoi.Tests.Scopes;

/// <summary>
/// A process that takes, lends, takes back and releases is killed at a system call, one call further each time: the table is always whole
/// and the next Pod goes on. A bounded number of steps, chosen by <c>YOI_SEED</c>; the full size tries each until none is left.
/// </summary>
public sealed class TableStepTests : IDisposable
{
    private const int Chosen = 10, MostSteps = 60;

    /// <summary>All that a change of the table asks of the kernel about its files.</summary>
    private static readonly string[] Calls = ["openat", "flock", "statx", "pwrite64", "ftruncate", "fdatasync", "fsync", "rename", "unlink", "close", "fcntl"];

    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact, Trait("case", "L01")]
    public async Task Killed_at_any_system_call_of_a_change_the_table_is_whole_and_the_next_Pod_goes_on()
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace to kill at a system call");
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        var random = new Random(seed);
        var killed = 0;
        if (Slice.IsFull)
        {
            foreach (var call in Calls)
                for (var step = 1; step <= MostSteps && await KilledAsync(call, step); step++) killed++;
        }
        else
        {
            for (var i = 0; i < Chosen; i++)
                if (await KilledAsync(Calls[random.Next(Calls.Length)], random.Next(1, 8))) killed++;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{killed} kills");
        Assert.True(killed > (Slice.IsFull ? 30 : 0), $"{killed} kills: no test");
    }

    // False if it came to its end: there is no such step.
    private async Task<bool> KilledAsync(string call, int step)
    {
        var state = _room.Directories.State;
        string[] paths = ["-P", state, "-P", state + "/scopes.json", "-P", state + "/scopes.json.tmp", "-P", state + "/scopes.lock"];
        string[] through = ["/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", .. paths, "-e", "trace=" + call, "-e", string.Create(CultureInfo.InvariantCulture, $"inject={call}:signal=KILL:when={step}")];
        using var process = ScopeChild.Start(["walk", _room.Root], through: through);
        var said = await process.StandardOutput.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        try
        {
            using var table = new ScopeTable(_room.Directories, TimeProvider.System) { Wait = TimeSpan.FromSeconds(20) };
            table.Open();
            var before = File.Exists(_room.Directories.ScopeTable) ? table.Read() : null;
            Assert.True(before is null || before.Problem() is null);
            var next = ScopeChild.RowOf(_room.Directories, "next", "write:/w"); // All that the killed one held.
            using var life = PodLock.TryTake(next.Directory)!;
            await table.AcquireAsync(next, Ct);
            Assert.Equal(["next"], table.Read().Pods.Select(row => row.Name));
            await table.ReleaseAsync(next.PodId, Ct);
            Assert.Empty(table.Read().Pods);
            Assert.DoesNotContain(Directory.GetFiles(state), file => file.EndsWith(".tmp", StringComparison.Ordinal));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new InvalidOperationException($"killed at {call} {step}, having said {said.ReplaceLineEndings(" ")}", e);
        }
        return !said.Contains("done", StringComparison.Ordinal);
    }
}
