using Xunit;
using Yoi.Runtime;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;

namespace Yoi.Tests;

/// <summary>A Pod is taken down in the reverse of its start.</summary>
public sealed class PodHostTests : IDisposable
{
    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task What_fails_to_end_keeps_nothing_else_from_ending()
    {
        var document = _root.Document("lead");
        var host = new PodHost(document, new LaunchSecrets(null, null), TimeProvider.System);
        await host.StartAsync(TestContext.Current.CancellationToken);
        var directory = _root.Directories.Pod(document.Name, document.PodId);
        using var table = new ScopeTable(_root.Directories, TimeProvider.System);
        Assert.True(PodLock.IsAlive(directory) && File.Exists(_root.Directories.Socket(document.PodId)) && table.Read().Find(document.PodId) is not null);
        List<string> ended = [];
        host.Own(new Owned("first", ended));
        host.Own(new Owned("second", ended));

        Assert.Equal("first", (await Assert.ThrowsAsync<IOException>(async () => await host.DisposeAsync())).Message);

        Assert.Equal(["second", "first"], ended);
        Assert.False(PodLock.IsAlive(directory) || File.Exists(_root.Directories.Socket(document.PodId)));
        Assert.Null(table.Read().Find(document.PodId));
        await host.DisposeAsync(); // A second time there is nothing left to end.
        Assert.Equal(2, ended.Count);
    }

    /// <summary>Cannot be ended.</summary>
    private sealed class Owned(string name, List<string> ended) : IDisposable
    {
        public void Dispose()
        {
            ended.Add(name);
            throw new IOException(name);
        }
    }
}
