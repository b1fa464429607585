using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Socket;
using Yoi.Shared;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Socket;

public sealed class SocketFileTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _root = Path.Combine(Path.GetTempPath(), "yoi-door-" + Guid.NewGuid().ToString("n")[..8]);

    private string Run => Path.Combine(_root, "run");

    private string Sock => Path.Combine(Run, "pod.sock");

    public SocketFileTests() => Directory.CreateDirectory(_root);

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Directory_and_socket_are_private_and_gone_or_left_as_they_were()
    {
        using (SocketFile.Bind(Sock))
        {
            Assert.Equal(Private, File.GetUnixFileMode(Run));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Sock));
            Assert.Equal([Sock], Directory.GetFileSystemEntries(Run));
        }
        Assert.Empty(Directory.GetFileSystemEntries(Run));
    }

    [Theory]
    [Trait("case", "C12")]
    [InlineData("0777", "mode 0777")]
    [InlineData("0750", "mode 0750")]
    [InlineData("owner", "uid 65534")]
    [InlineData("link", "a symbolic link")]
    [InlineData("file", "a regular file")]
    public void A_directory_that_is_not_ours_alone_is_refused_with_owner_and_mode(string kind, string named)
    {
        if (kind == "owner" && Libc.Geteuid() != 0) kind = "0777"; // Only root can give a directory away.
        switch (kind)
        {
            case "link": File.CreateSymbolicLink(Run, Directory.CreateDirectory(_root + "/elsewhere", Private).FullName); break;
            case "file": File.WriteAllText(Run, "kept"); break;
            case "owner": Directory.CreateDirectory(Run, Private); Shell($"chown 65534 {Run}"); break;
            default: Directory.CreateDirectory(Run); File.SetUnixFileMode(Run, (UnixFileMode)Convert.ToInt32(kind, 8)); break;
        }
        var before = Listing();
        var e = Assert.ThrowsAny<IOException>(() => SocketFile.Bind(Sock));
        Assert.Contains(kind == "0777" ? "mode 0777" : named, e.Message, StringComparison.Ordinal);
        Assert.Equal(before, Listing());
    }

    [Theory]
    [Trait("case", "C12")]
    [InlineData("file", "a regular file")]
    [InlineData("link", "a symbolic link")]
    [InlineData("directory", "a directory")]
    [InlineData("listener", "listens there")]
    public void What_stands_at_the_path_and_is_no_stale_socket_stays(string kind, string named)
    {
        Directory.CreateDirectory(Run, Private);
        using var other = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        switch (kind)
        {
            case "file": File.WriteAllText(Sock, "kept"); break;
            case "link": File.CreateSymbolicLink(Sock, _root + "/target"); break;
            case "directory": Directory.CreateDirectory(Sock); break;
            case "listener": other.Bind(new UnixDomainSocketEndPoint(Sock)); other.Listen(); break;
        }
        var before = Listing();
        var e = Assert.ThrowsAny<IOException>(() => SocketFile.Bind(Sock));
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
        Assert.Contains("mode 0", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, Listing());
    }

    [Fact]
    [Trait("case", "C14")]
    public async Task A_stale_socket_is_replaced_and_its_late_owner_cannot_unlink_the_new_one()
    {
        // What a killed process leaves: a socket file that nobody listens at.
        Directory.CreateDirectory(Run, Private);
        var killed = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        killed.Bind(new UnixDomainSocketEndPoint(Sock));
        var old = Sock + ".old";
        File.Move(Sock, old);
        killed.Dispose();
        File.Move(old, Sock);

        var first = SocketFile.Bind(Sock);
        File.Delete(Sock); // The runtime directory was cleared under it; a successor takes the name.
        using var second = SocketFile.Bind(Sock);
        first.Dispose();
        Assert.True(second.IsInPlace);
        using var client = await UnixAddress.ConnectAsync(Sock, TimeProvider.System, TestContext.Current.CancellationToken);

        // The control: a plain .NET socket does unlink its successor.
        var plain = Path.Combine(Run, "plain");
        var one = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        one.Bind(new UnixDomainSocketEndPoint(plain));
        File.Delete(plain);
        using var two = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        two.Bind(new UnixDomainSocketEndPoint(plain));
        one.Dispose();
        Assert.False(File.Exists(plain));
    }

    [Fact]
    [Trait("case", "C13")]
    [Trait("case", "T33")]
    public async Task A_deep_runtime_directory_and_a_64_character_name_work_for_server_and_client()
    {
        var deep = Path.Combine(Run, string.Join('/', Enumerable.Repeat(new string('d', 60), 6)));
        Directory.CreateDirectory(deep, Private);
        var path = Path.Combine(deep, new string('n', 64) + ".sock");
        Assert.True(Encoding.UTF8.GetByteCount(path) > 400);
        await using var room = await new ServedRoom().StartAsync(path: path);
        await using var client = await PodClient.ConnectAsync(path, ct: ServedRoom.Ct);
        Assert.Equal("worker", (await client.StatusAsync(ServedRoom.Ct)).Name);
        await using var attached = client.AttachAsync(ct: ServedRoom.Ct).GetAsyncEnumerator(ServedRoom.Ct);
        Assert.True(await attached.MoveNextAsync());
        await room.StopServerAsync();
        Assert.False(File.Exists(path));
        var gone = await Assert.ThrowsAsync<IOException>(() => PodClient.ConnectAsync(path, ct: ServedRoom.Ct));
        Assert.Contains("ended", gone.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_no_address_can_hold_is_an_error_and_never_cut_short()
    {
        var path = Path.Combine(Run, new string('n', 200));
        Assert.ThrowsAny<Exception>(() => SocketFile.Bind(Path.Combine(Run, new string('n', 300))));
        using var file = SocketFile.Bind(path); // Names of the file system may be longer than an address: renaming gives them.
        Assert.Equal([path], Directory.GetFileSystemEntries(Run));
    }

    [Fact]
    [Trait("case", "T36")]
    public async Task A_socket_comes_back_after_its_runtime_directory_was_removed_or_moved()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var before = await room.ClientAsync();
        await Eventually.Removed(room.Runtime);
        await Reconnect(room);
        Directory.Move(room.Runtime, room.Runtime + ".moved");
        await Reconnect(room);
        Assert.Empty(Directory.GetFileSystemEntries(room.Runtime + ".moved"));
        File.Delete(room.SocketPath);
        await Reconnect(room);
        Assert.Equal("worker", (await before.StatusAsync(ServedRoom.Ct)).Name); // Who was connected stays so.
        Assert.NotEmpty(room.Warnings);
    }

    [Fact]
    [Trait("case", "T36")]
    public async Task A_socket_that_cannot_be_made_now_comes_back_when_it_can()
    {
        await using var room = await new ServedRoom().StartAsync();
        Directory.Move(room.Runtime, room.Runtime + ".gone");
        Directory.CreateDirectory(_root + "/x");
        // Whatever the watch made of it by now: a file stands in the way and is not ours to remove.
        var until = Stopwatch.StartNew();
        while (until.Elapsed < ServedRoom.Patience)
        {
            if (Directory.Exists(room.Runtime)) Directory.Move(room.Runtime, room.Runtime + Guid.NewGuid().ToString("n"));
            try
            {
                await using var file = new FileStream(room.Runtime, FileMode.CreateNew);
                break;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                await Task.Yield(); // It was quicker.
            }
        }
        while (!room.Warnings.Any(w => w.Contains("a regular file", StringComparison.Ordinal)) && until.Elapsed < ServedRoom.Patience) await Task.Yield();
        Assert.Contains(room.Warnings, w => w.Contains("a regular file", StringComparison.Ordinal));
        File.Delete(room.Runtime);
        await Reconnect(room);
    }

    private static async Task Reconnect(ServedRoom room)
    {
        var until = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await using var client = await room.ClientAsync();
                Assert.Equal("worker", (await client.StatusAsync(ServedRoom.Ct)).Name);
                return;
            }
            catch (IOException) when (until.Elapsed < ServedRoom.Patience)
            {
                await Task.Yield();
            }
        }
    }

    [Fact]
    [Trait("case", "C08")]
    public async Task Another_users_program_is_closed_before_a_byte_of_it_is_read()
    {
        if (Libc.Geteuid() != 0) Assert.Skip("only root can become another user");
        Needs.Programs("setpriv", "/usr/bin/python3");
        await using var room = await new ServedRoom().StartAsync();
        File.SetUnixFileMode(room.SocketPath, (UnixFileMode)0x1B6); // What the directory and the mode prevent is let through by the test.
        foreach (var directory in new[] { room.Runtime, Path.GetDirectoryName(room.Runtime)! }) File.SetUnixFileMode(directory, (UnixFileMode)0x1ED);
        const string client = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            try:
                s.sendall(b'{"id":1,"method":"run","params":{"input":"x"}}\n')
            except BrokenPipeError:
                pass
            try:
                print(len(s.recv(100)))
            except ConnectionResetError:
                print(0)
            """;
        await File.WriteAllTextAsync(_root + "/client.py", client, ServedRoom.Ct);
        File.SetUnixFileMode(_root, (UnixFileMode)0x1ED);
        File.SetUnixFileMode(_root + "/client.py", (UnixFileMode)0x1A4);
        Assert.Equal("0", Shell($"setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 {_root}/client.py {room.SocketPath}"));
        Assert.Empty(room.Asked);
        Assert.NotEqual("0", Shell($"/usr/bin/python3 {_root}/client.py {room.SocketPath}")); // The same as ourselves is answered.
        Assert.Single(room.Asked);
    }

    private string Listing() => Shell($"find {_root} -printf '%p %m %U %y %s %T@ %l\\n' | sort");

    private static string Shell(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEnd(), process.StandardError.ReadToEnd());
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
        return output.Trim();
    }
}
