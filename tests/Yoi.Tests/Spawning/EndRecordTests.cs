using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

public sealed class EndRecordTests : IDisposable
{
    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task The_end_of_a_Pod_whose_files_an_undone_spawn_took_away_is_known_and_written_nowhere()
    {
        var id = PodName.NewId(TimeProvider.System);
        var pod = new KnownPod("undone", id, _root.Directories.Pod("undone", id));

        var end = await EndRecord.CompleteAsync(pod, new ProcessExit(0, null), [], "human", TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.Equal(PodEnd.Exited, end.Reason);
        Assert.False(Directory.Exists(pod.Directory));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("{\"seq\":1,\"ti")]
    public async Task A_Pod_that_was_killed_before_its_first_entry_was_whole_leaves_no_directory(string? journal)
    {
        var id = PodName.NewId(TimeProvider.System);
        var pod = new KnownPod("unborn", id, _root.Directories.Pod("unborn", id));
        PodLock.TryTake(pod.Directory)!.Dispose();
        if (journal is not null) await File.WriteAllTextAsync($"{pod.Directory}/{PodFiles.Journal}", journal, TestContext.Current.CancellationToken);
        if (journal is not null) File.SetUnixFileMode($"{pod.Directory}/{PodFiles.Journal}", UnixFileMode.UserRead | UnixFileMode.UserWrite);

        var end = await EndRecord.CompleteAsync(pod, new ProcessExit(null, 9), [], "human", TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.Equal(PodEnd.Crashed, end.Reason);
        Assert.False(Directory.Exists(pod.Directory));
    }

    [Fact]
    public async Task A_Pod_whose_only_entry_is_damaged_keeps_its_directory()
    {
        var id = PodName.NewId(TimeProvider.System);
        var pod = new KnownPod("damaged", id, _root.Directories.Pod("damaged", id));
        PodLock.TryTake(pod.Directory)!.Dispose();
        await File.WriteAllTextAsync($"{pod.Directory}/{PodFiles.Journal}", "{\"seq\":1,\"kind\":\"pod_created\",\"crc\":\"00000000\"}\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode($"{pod.Directory}/{PodFiles.Journal}", UnixFileMode.UserRead | UnixFileMode.UserWrite);

        await EndRecord.CompleteAsync(pod, new ProcessExit(null, 9), [], "human", TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.True(File.Exists($"{pod.Directory}/{PodFiles.Journal}"));
    }
}
