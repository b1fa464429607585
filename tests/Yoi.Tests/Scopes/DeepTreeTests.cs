using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Scopes;

/// <summary>What commands leave in their private directories keeps nobody from removing it, or from stopping their Pod.</summary>
public sealed class DeepTreeTests : IDisposable
{
    // Deeper than a path can be long, names that are no text, modes that keep their owner out, a link that leads away.
    private const string Fill = """
        mkdir top && cd top && echo 12345 > file && ln -s ../canary away && ln -s ../canary/keep keep && mkfifo pipe
        mkdir shut && echo 123 > shut/in && mkdir shut/more && chmod 000 shut/more shut && printf x > $'odd\377name'
        for i in 1 2 3 4 5 6; do mkdir wide$i && echo $i > wide$i/f; done
        for i in {1..600}; do mkdir dddddddddd && cd dddddddddd || exit; done
        printf 12 > deep
        """;

    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task Whatever_commands_left_is_counted_and_removed_and_nothing_beside_it()
    {
        Directory.CreateDirectory(_room.Root + "/canary/keep");
        using var shell = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", Fill]) { WorkingDirectory = _room.Root })!;
        await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, shell.ExitCode);
        Assert.InRange(DeepTree.Bytes(_room.Root + "/top"), 6 + 1 + (6 * 2) + 2, 200); // Links count with what they say.
        DeepTree.Remove(_room.Root + "/top");
        Assert.False(Directory.Exists(_room.Root + "/top"));
        Assert.True(Directory.Exists(_room.Root + "/canary/keep"));
        DeepTree.Remove(_room.Root + "/top"); // Gone is gone.
        Assert.Equal(0, DeepTree.Bytes(_room.Root + "/top"));
    }

    [Fact]
    public void Pods_whose_directories_lost_their_owner_s_rights_are_found_all_the_same()
    {
        var directories = new YoiDirectories(_room.Root + "/s", _room.Root + "/r", _room.Root + "/c");
        var (good, bad) = (directories.Pod("good", new string('1', 32)), directories.Pod("bad", new string('2', 32)));
        foreach (var pod in new[] { good, bad }) Directory.CreateDirectory(pod);
        File.SetUnixFileMode(bad, UnixFileMode.None);
        File.SetUnixFileMode(directories.Pods, UnixFileMode.None);
        Assert.Equal(["good", "bad"], new PodRegistry(directories).All().Select(pod => pod.Name));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(bad));
    }
}
