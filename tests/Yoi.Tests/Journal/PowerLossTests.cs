using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Tests.Control;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Journal;

/// <summary>The power goes at every sync point in turn: whatever was acknowledged before is there, by the real code that reads it again.</summary>
public sealed class PowerLossTests : IDisposable
{
    private readonly string _images = Directory.CreateTempSubdirectory("yoi-power-").FullName;
    private readonly Random _random;
    private int _image;

    public PowerLossTests()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        _random = new Random(seed);
    }

    public void Dispose() => Directory.Delete(_images, recursive: true);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    // As written, as NULs, or not at all: a file system may leave any of it.
    private string Image(ForgetfulDisk disk)
    {
        var image = $"{_images}/{_image++}";
        disk.Leave(image, length => (_random.NextInt64(length + 1), _random.Next(2) == 0));
        return image;
    }

    [Fact, Trait("case", "G09")]
    public async Task Every_input_that_a_client_heard_accepted_and_every_call_that_ran_is_in_the_journal()
    {
        var tool = new GatedTool("Count", ToolOrder.Beside);
        tool.Gate.Release(1_000);
        await using var pod = await ControlledPod.CreateAsync(tool);
        using var disk = new ForgetfulDisk(pod.Directory);
        List<long> accepted = [];
        List<string> failures = [];
        void Check()
        {
            long[] promised;
            string[] ran;
            lock (accepted) promised = [.. accepted];
            lock (tool.Log) ran = [.. tool.Log.Select(line => line.Split(' ')[1])];
            var left = Image(disk);
            using var podLock = PodLock.TryTake(left)!;
            var seen = new TempPod.Log();
            JournalWriter.Open(left, podLock, [seen], TimeProvider.System).DisposeAsync().AsTask().GetAwaiter().GetResult();
            var there = seen.Records.Select(record => record.Seq).ToHashSet();
            var called = seen.Records.Select(record => record.Entry).OfType<Entry.Assistant>().SelectMany(message => message.Blocks).OfType<AssistantBlock.ToolCall>().Select(call => call.CallId).ToHashSet();
            lock (failures)
            {
                failures.AddRange(promised.Where(seq => !there.Contains(seq)).Select(seq => $"seq {seq} is lost in image {left}"));
                failures.AddRange(ran.Where(call => !called.Contains(call)).Select(call => $"{call} ran, and image {left} does not know it"));
            }
            Directory.Delete(left, recursive: true);
        }
        disk.AtSync = Check;
        for (var round = 0; round < 8; round++)
        {
            pod.Model.Call(new AssistantBlock.ToolCall($"c{round}", "Count", "{}"));
            pod.Model.Say("counted");
            if (await pod.AskAsync(new Method.Run($"hello {round}")) is ReplyResult.Accepted { Seq: var seq })
                lock (accepted) accepted.Add(seq);
            await pod.SeeAsync<Entry.RunEnded>(nth: round + 1);
            Check(); // Nothing was synced since: still there.
        }
        Assert.Empty(failures);
        Assert.Equal(8, accepted.Count);
        Assert.True(disk.Syncs > 16, $"{disk.Syncs} syncs: no test");
    }

    [Fact, Trait("case", "G09"), Trait("case", "L01")]
    public async Task The_table_is_the_last_that_was_acknowledged_or_the_one_under_way()
    {
        using var room = new ScopeRoom();
        room.Table.Open();
        using var disk = new ForgetfulDisk(room.Directories.State);
        var acknowledged = 0L;
        List<string> failures = [];
        void Check()
        {
            var left = Image(disk);
            using var table = new ScopeTable(room.Directories with { State = left }, TimeProvider.System, directory => room.IsAlive(directory));
            try
            {
                var found = File.Exists(left + "/scopes.json") ? table.Read().Generation : 0;
                if (found < Volatile.Read(ref acknowledged) || found > Volatile.Read(ref acknowledged) + 1) failures.Add($"generation {found}, acknowledged {acknowledged}, in {left}");
            }
            catch (ScopeException e)
            {
                failures.Add($"{left}: {e.Message}");
            }
            Directory.Delete(left, recursive: true);
        }
        disk.AtSync = Check;
        var spawner = room.Row("lead", "write:/w");
        await room.Table.AcquireAsync(spawner, Ct);
        Volatile.Write(ref acknowledged, room.Table.Read().Generation);
        for (var round = 0; round < 10; round++)
        {
            var child = room.Row($"kid{round}", $"write:/w/{round}");
            await room.Table.LendAsync(spawner.PodId, child, Ct);
            Volatile.Write(ref acknowledged, room.Table.Read().Generation);
            Check();
            await room.Table.ReleaseAsync(child.PodId, Ct);
            Volatile.Write(ref acknowledged, room.Table.Read().Generation);
            Check();
        }
        Assert.Empty(failures);
        Assert.True(disk.Syncs >= 42, $"{disk.Syncs} syncs: no test");
    }

    [Fact, Trait("case", "G09")]
    public async Task The_layer_itself_forgets_what_was_not_synced()
    {
        var root = Directory.CreateDirectory($"{_images}/control").FullName;
        using var disk = new ForgetfulDisk(root);
        using (var file = PrivateFile.OpenToWrite(root + "/a"))
        {
            RandomAccess.Write(file, "synced"u8, 0);
            PrivateFile.Sync(file, root + "/a");
            RandomAccess.Write(file, " and not"u8, 6);
        }
        var before = $"{_images}/before";
        disk.Leave(before, _ => (0, false));
        Assert.Empty(Directory.GetFiles(before)); // Its name was not synced.
        PrivateFile.SyncDirectory(root);
        var after = $"{_images}/after";
        disk.Leave(after, _ => (0, false));
        Assert.Equal("synced", await File.ReadAllTextAsync(after + "/a", Ct));
        await File.WriteAllTextAsync(root + "/b", "not synced", Ct);
        PrivateFile.Replace(root + "/a", "replaced"u8, durable: true);
        disk.Leave(after, _ => (0, false));
        Assert.Equal(("replaced", ""), (await File.ReadAllTextAsync(after + "/a", Ct), await File.ReadAllTextAsync(after + "/b", Ct)));
    }
}
