using Xunit;
using Yoi.Protocol;
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
}
