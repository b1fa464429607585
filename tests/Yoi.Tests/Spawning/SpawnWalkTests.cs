using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Spawning;

/// <summary>A random walk through a spawner's life beside the simplest model of it: who holds which folder.</summary>
public sealed class SpawnWalkTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Steps = 14;

    private readonly PodRoom _room = new();
    private readonly Dictionary<string, string> _holders = [];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "T23"), Trait("case", "L18")]
    public async Task Whatever_is_spawned_stopped_killed_and_restarted_memory_table_and_journal_agree_with_the_model()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        output.WriteLine($"YOI_SEED={seed}");
        var random = new Random(seed);
        string[] folders = [_room.Folder("a"), _room.Folder("b"), _room.Folder("a/inner")];
        var root = await _room.Root();
        for (var step = 0; step < Steps; step++)
        {
            var (folder, name) = (folders[random.Next(folders.Length)], $"p{random.Next(3)}");
            var doing = random.Next(7);
            output.WriteLine($"{step}: {doing} {name} {folder}");
            if (doing <= 2) await SpawnAsync(root, name, folder);
            else if (doing <= 4) await EndAsync(root, name, kill: doing == 4);
            else if (doing == 5) root = await RestartAsync(root);
            await AgreesAsync(root, folders, step);
        }
    }

    private async Task SpawnAsync(RoomPod root, string name, string folder)
    {
        var free = !_holders.ContainsKey(name) && !_holders.Values.Any(held => Overlap(held, folder));
        var result = await root.Spawn(name, scope: RoomPod.Write(folder));
        Assert.True(result.IsError != free, result.Summary);
        if (free) _holders[name] = folder;
    }

    private async Task EndAsync(RoomPod root, string name, bool kill)
    {
        if (kill && _holders.ContainsKey(name))
        {
            var child = root.All<Entry.ChildSpawned>().Last(spawned => spawned.Child == name);
            _ = Libc.Kill(child.Pid, Libc.SigKill);
            await Eventually.Holds(() => root.All<Entry.ChildEnded>().Any(ended => ended.ChildId == child.ChildId));
        }
        else
        {
            var known = root.All<Entry.ChildSpawned>().Any(spawned => spawned.Child == name);
            var result = await root.Call("StopPod", $$"""{"name":"{{name}}"}""");
            Assert.Equal(!known, result.IsError);
        }
        _holders.Remove(name);
    }

    private async Task<RoomPod> RestartAsync(RoomPod root)
    {
        await root.Killed();
        await root.Client.DisposeAsync();
        return await _room.Start(root.Document);
    }

    private async Task AgreesAsync(RoomPod root, string[] folders, int step)
    {
        Assert.Equal(_holders.Keys.Append("root").Order(), _room.Rows.Select(row => row.Name).Order());
        Assert.Equal(_holders.Count + 1, _room.Processes.Count);
        var writes = await root.Calls([.. folders.Select(folder => RoomPod.WriteFile($"{folder}/{step}"))]);
        foreach (var (folder, write) in folders.Zip(writes))
            Assert.True(write.IsError == _holders.Values.Any(held => folder == held || folder.StartsWith(held + "/", StringComparison.Ordinal)), write.Summary);
        // After a run, memory holds all that the journal told before it.
        var status = await root.Client.StatusAsync(_room.Ct);
        Assert.Equal(_holders.Select(held => held.Key + held.Value).Order(), status.Lent.Select(lent => lent.Child + lent.Rules.Single().Target).Order());
        Assert.Equal(_holders.Keys.Order(), status.Children.Where(child => !child.Ended).Select(child => child.Name).Order());
    }

    private static bool Overlap(string a, string b) => a == b || a.StartsWith(b + "/", StringComparison.Ordinal) || b.StartsWith(a + "/", StringComparison.Ordinal);
}
