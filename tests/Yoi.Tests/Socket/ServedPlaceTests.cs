using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Socket;

/// <summary>Where a real Pod's socket is: directories and names that are not its own, too long, stale, or taken; and what its text does to a terminal.</summary>
public sealed class ServedPlaceTests
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    [Theory, Trait("case", "C12")]
    [InlineData("directory 0777", "mode 777")]
    [InlineData("directory link", "a symbolic link")]
    [InlineData("directory file", "is a file with mode")]
    [InlineData("socket file", "a regular file")]
    [InlineData("socket link", "a symbolic link")]
    [InlineData("socket directory", "a directory")]
    public async Task A_pod_does_not_start_where_something_else_stands_and_leaves_it_as_it_is(string kind, string named)
    {
        using var root = new SpawningRoot();
        var document = root.Document("lead");
        document = document with { RootId = document.PodId };
        var (run, socket) = (root.Directories.Runtime, root.Directories.Socket(document.PodId));
        if (kind.StartsWith("socket", StringComparison.Ordinal)) Directory.CreateDirectory(run, Private);
        switch (kind)
        {
            case "directory 0777": Directory.CreateDirectory(run); File.SetUnixFileMode(run, (UnixFileMode)0x1FF); break;
            case "directory link": File.CreateSymbolicLink(run, Directory.CreateDirectory(root.Path + "/elsewhere", Private).FullName); break;
            case "directory file": await File.WriteAllTextAsync(run, "kept", ServedRoom.Ct); break;
            case "socket file": await File.WriteAllTextAsync(socket, "kept", ServedRoom.Ct); break;
            case "socket link": File.CreateSymbolicLink(socket, root.Path + "/target"); break;
            case "socket directory": Directory.CreateDirectory(socket); break;
        }
        var before = await ListingAsync(run);
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => RealPod.LaunchAsync(document));
        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await ListingAsync(run));

        // The control: with the place mended, the same Pod starts, so nothing was held or left behind.
        if (Directory.Exists(run)) Directory.Delete(run, recursive: new DirectoryInfo(run).LinkTarget is null);
        else File.Delete(run);
        var launched = await RealPod.LaunchAsync(document);
        await using (var client = await PodClient.ConnectAsync(launched.Socket, limit: RealPod.Patience, ct: ServedRoom.Ct)) await client.ShutdownAsync(ServedRoom.Ct);
        Assert.Equal(0, (await launched.Process.Exited.WaitAsync(RealPod.Patience, ServedRoom.Ct)).Code);
        launched.Process.Dispose();
    }

    [Fact, Trait("case", "C13"), Trait("case", "T33")]
    public async Task A_deep_runtime_directory_and_a_64_character_name_work()
    {
        var root = new SpawningRoot();
        var deep = Path.Combine(root.Path, string.Join('/', Enumerable.Repeat(new string('d', 60), 6)));
        Directory.CreateDirectory(Path.GetDirectoryName(deep)!, Private);
        await using var pod = await RealPod.StartAsync(new string('n', 64), root: root, change: document => document with { Directories = document.Directories with { Runtime = deep } });
        Assert.True(Encoding.UTF8.GetByteCount(pod.Socket) > 107 && pod.Socket.StartsWith(deep, StringComparison.Ordinal));
        await using var client = await pod.ClientAsync();
        Assert.Equal(new string('n', 64), (await client.StatusAsync(ServedRoom.Ct)).Name);
        await client.ShutdownAsync(ServedRoom.Ct);
        Assert.Equal(0, (await pod.ExitAsync()).Code);
        Assert.Empty(Directory.GetFileSystemEntries(deep));
    }

    [Fact, Trait("case", "C14")]
    public async Task A_killed_pods_socket_is_replaced_and_a_late_owner_does_not_remove_its_successors()
    {
        await using var pod = await RealPod.StartAsync();
        pod.Process.Signal(Libc.SigKill);
        await pod.ExitAsync();
        Assert.True(File.Exists(pod.Socket)); // What kill -9 leaves.
        var old = await RealPod.LaunchAsync(pod.Document);
        await using (var client = await PodClient.ConnectAsync(old.Socket, limit: RealPod.Patience, ct: ServedRoom.Ct)) Assert.Equal(old.Pid, (await client.StatusAsync(ServedRoom.Ct)).Pid);

        old.Process.Signal(Libc.SigStop);
        await Eventually.Holds(() => old.Process.IsHeld);
        var refused = await Assert.ThrowsAsync<LaunchException>(() => RealPod.LaunchAsync(pod.Document)); // Held is alive.
        Assert.Contains("is served by another process already", refused.Message, StringComparison.Ordinal);

        // Another Pod at the same name of the file system: its state is its own, and the file went away meanwhile.
        File.Delete(old.Socket);
        using var otherRoot = new SpawningRoot();
        var successor = await RealPod.LaunchAsync(otherRoot.Document("other") with { PodId = pod.Document.PodId, RootId = pod.Document.PodId, Directories = otherRoot.Directories with { Runtime = pod.Root.Directories.Runtime } });
        Assert.Equal(old.Socket, successor.Socket);
        old.Process.Signal(Libc.SigCont);
        old.Process.Signal(Libc.SigTerm);
        Assert.Equal(0, (await old.Process.Exited.WaitAsync(RealPod.Patience, ServedRoom.Ct)).Code);
        Assert.True(File.Exists(successor.Socket));
        await using (var client = await PodClient.ConnectAsync(successor.Socket, limit: RealPod.Patience, ct: ServedRoom.Ct))
        {
            Assert.Equal("other", (await client.StatusAsync(ServedRoom.Ct)).Name);
            await client.ShutdownAsync(ServedRoom.Ct);
        }
        Assert.Equal(0, (await successor.Process.Exited.WaitAsync(RealPod.Patience, ServedRoom.Ct)).Code);
        old.Process.Dispose();
        successor.Process.Dispose();
    }

    [Fact, Trait("case", "C16")]
    public async Task Whatever_a_model_says_the_terminal_is_sent_no_control_sequence()
    {
        const string script = """
            {"pods": {"*": {"replies": [{"text": ["vis\u001b]0;title\u0007ib", "le \u001b[31mred\u001b[0m \u009b2J \u202eevil\u0000\b"], "repeat": true}]}}}
            """;
        await using var pod = await RealPod.StartAsync(script: script);
        await using var client = await pod.ClientAsync();
        await client.RunAsync("say \u001b[5mit\u001b]52;c;aGk=\u0007", ct: ServedRoom.Ct);
        await Eventually.Holds(() => pod.Records().Any(record => record.Entry is Entry.RunEnded), RealPod.Patience);
        Assert.Contains(pod.Records(), record => record.Entry is Entry.Assistant said && said.Blocks.OfType<AssistantBlock.Text>().Any(text => text.Value.Contains('\u001b', StringComparison.Ordinal)));
        var elsewhere = Directory.CreateDirectory(pod.Root.Path + "/elsewhere").FullName;
        string[] run = ["run", "--model", $"scripted:{pod.Document.Model.Script}", "--cwd", elsewhere, "go"];
        foreach (string[] words in new string[][] { ["log", "lead"], ["read", "lead"], ["ps"], run, [.. run, "-p"] })
        {
            var shown = await ServedProcessTests.OutputAsync(["env", $"YOI_HOME={pod.Root.Path}", RealPod.Yoi, .. words]);
            Assert.DoesNotContain(shown, c => (char.IsControl(c) && c is not '\n' and not '\t') || c == '\u202e');
            Assert.Contains(words[0] == "ps" ? "lead" : "visible red", shown, StringComparison.Ordinal);
        }
    }

    private static async Task<string> ListingAsync(string path) =>
        await ServedProcessTests.OutputAsync(["find", Path.GetDirectoryName(path)!, "-path", path + "*", "-printf", "%p %m %U %y %s %T@ %l\n"]);
}
