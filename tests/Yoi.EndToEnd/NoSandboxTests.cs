using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>A machine that has not what a level needs: an error with the reason where the level was asked for, the next one where none was, and nothing ever runs without.</summary>
[Trait("runs", "commands")]
public sealed class NoSandboxTests : IAsyncDisposable
{
    private const int Refused = 3;

    private const uint NewUser = 0x10000000, NoSuchCall = 38;

    /// <summary>Takes on the filter that the first argument names, and becomes the program of the others; needs no namespace itself.</summary>
    private const string Under = """
        import ctypes, os, sys
        class Program(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
        f = open(sys.argv[1], "rb").read()
        l = ctypes.CDLL(None)
        assert l.prctl(38, 1, 0, 0, 0) == 0 and l.prctl(22, 2, ctypes.byref(Program(len(f) // 8, f)), 0, 0) == 0
        os.execv(sys.argv[2], sys.argv[2:])
        """;

    private readonly YoiRoom _room = new();

    public NoSandboxTests()
    {
        YoiRoom.SkipWithoutSandbox();
        Needs.Programs("/usr/bin/python3");
    }

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    /// <summary>As a kernel without them says it (a sysctl of Debian's, a container), as one that has as many as it may (max_user_namespaces), and that sysctl itself.</summary>
    [Theory, InlineData("EPERM"), InlineData("ENOSPC"), InlineData("sysctl"), Trait("case", "S20")]
    public async Task Without_namespaces_of_users_kernel_is_an_error_and_auto_takes_partial_and_says_why(string off)
    {
        if (off == "sysctl") Needs.Namespaces();
        if (off == "sysctl" && Libc.Geteuid() != 0) Assert.Skip("in a namespace that another user makes, root's bubblewrap is nobody's, and refused for that");
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("control", Call("Bash", new { command = "echo control > control" }))
            .Of("bare", Call("Bash", new { command = "echo ran > ran" }))
            .Of("auto", Calls(("Bash", new { command = "echo ran > ran" }), ("Bash", new { command = $"echo ran > {_room.Root}/outside" }))).Answer);
        _room.UseModel(server);
        Through(off == "sysctl" ? "true" : null, Filter());
        (await _room.RunAsync("run", "go", "--name", "control", "--sandbox", "kernel")).Expect(0);
        Assert.Equal("control\n", _room.Read("project/control")); // It is not the wrapping that keeps it from that.

        Through(off == "sysctl" ? "echo 0 > /proc/sys/user/max_user_namespaces" : null, off == "sysctl" ? Filter() : WithoutNamespaces(off == "EPERM" ? 1u : 28u));
        var refused = (await _room.RunAsync("run", "go", "--name", "bare", "--sandbox", "kernel")).Expect(Refused).Error.ReplaceLineEndings(" ");
        Assert.Contains("sandbox level kernel cannot be had (bubblewrap: the sandbox could not be made: ", refused, StringComparison.Ordinal);
        Assert.Contains("namespace", refused, StringComparison.Ordinal);
        Assert.Contains("`yoi doctor` shows more", refused, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(_room.Directories.Pods, "bare.*"));
        Assert.False(File.Exists(_room.Project + "/ran"));

        var said = (await _room.RunAsync("run", "go", "--name", "auto", "--sandbox", "auto")).Expect(0).Error.ReplaceLineEndings(" ");
        Assert.Contains("sandbox level partial:", said, StringComparison.Ordinal);
        Assert.Contains("level kernel cannot be had (bubblewrap: the sandbox could not be made: ", said, StringComparison.Ordinal);
        Assert.Equal("partial", _room.Journal("auto").OfType<Entry.ProcessStarted>().Single().SandboxLevel);
        Assert.Equal([false, true], _room.Journal("auto").OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal("ran\n", _room.Read("project/ran"));
        Assert.False(File.Exists(_room.Root + "/outside"));
        Assert.Contains("namespace", (await _room.RunAsync("doctor")).Out, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "S20"), Trait("case", "S19")]
    public async Task A_bubblewrap_that_others_can_change_is_never_started_kernel_is_an_error_and_auto_takes_partial()
    {
        Needs.Namespaces();
        _room.Write("project/bwrap", $"#!/bin/sh\ntouch {_room.Root}/obeyed\n");
        File.SetUnixFileMode(_room.Project + "/bwrap", (UnixFileMode)0b111_111_111);
        const string replaced = "mount --bind bwrap /usr/bin/bwrap"; // In a namespace of its own; whoever makes that is root there.
        await using (var found = _room.Start("/usr/bin/unshare", ["-rm", "/bin/sh", "-c", replaced + " && bwrap"])) (await found.EndAsync()).Expect(0);
        Assert.True(File.Exists(_room.Root + "/obeyed")); // By whoever does not look whose it is.
        File.Delete(_room.Root + "/obeyed");

        await KernelIsAnErrorAndAutoTakesPartialAsync(replaced, "/usr/bin/bwrap can be changed by others than root; nothing is started with it");

        Assert.False(File.Exists(_room.Root + "/obeyed"));
    }

    [Fact, Trait("case", "S20")]
    public async Task Where_bubblewrap_is_not_installed_kernel_is_an_error_that_says_how_to_and_auto_takes_partial()
    {
        Needs.Namespaces();
        var layer = Directory.CreateDirectory(_room.Root + "/layer").FullName;
        var removed = $"mount -t tmpfs none {layer} && mkdir {layer}/upper {layer}/work && mount -t overlay none -o lowerdir=/usr/bin,upperdir={layer}/upper,workdir={layer}/work,userxattr /usr/bin && rm /usr/bin/bwrap";

        await KernelIsAnErrorAndAutoTakesPartialAsync(removed, "bubblewrap is not installed (apt-get install bubblewrap, dnf install bubblewrap)");

        Assert.Contains("bubblewrap is not installed", (await _room.RunAsync("doctor")).Out.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    /// <param name="scene">A line for a shell that is root in mounts of its own.</param>
    private async Task KernelIsAnErrorAndAutoTakesPartialAsync(string scene, string because)
    {
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("bare", Call("Bash", new { command = "echo ran > ran" }))
            .Of("auto", Calls(("Bash", new { command = "echo ran > ran" }), ("Bash", new { command = $"echo ran > {_room.Root}/outside" }))).Answer);
        _room.UseModel(server);
        _room.Through = (program, args) => ("/usr/bin/unshare", ["-rm", "/bin/sh", "-c", scene + " && exec \"$@\"", "sh", program, .. args]);

        var refused = (await _room.RunAsync("run", "go", "--name", "bare", "--sandbox", "kernel")).Expect(Refused).Error.ReplaceLineEndings(" ");
        Assert.Contains($"sandbox level kernel cannot be had (bubblewrap: {because})", refused, StringComparison.Ordinal);
        Assert.False(File.Exists(_room.Project + "/ran"));

        var said = (await _room.RunAsync("run", "go", "--name", "auto", "--sandbox", "auto")).Expect(0).Error.ReplaceLineEndings(" ");
        Assert.Contains("sandbox level partial:", said, StringComparison.Ordinal);
        Assert.Contains(because, said, StringComparison.Ordinal);
        Assert.Equal([false, true], _room.Journal("auto").OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal("ran\n", _room.Read("project/ran"));
        Assert.False(File.Exists(_room.Root + "/outside"));
    }

    [Fact, Trait("case", "S20")]
    public async Task With_neither_namespaces_nor_Landlock_auto_has_no_Bash_and_says_why_and_both_levels_are_errors()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("bare", Calls(("Bash", new { command = "echo ran > ran" }), ("Write", new { file_path = "written", content = "x" }))).Answer);
        _room.UseModel(server);
        Through(null, [.. WithoutNamespaces(1)[..^1], .. Answers(444, NoSuchCall), WithoutNamespaces(1)[^1]]);
        foreach (var level in (string[])["kernel", "partial"])
            Assert.Contains($"sandbox level {level} cannot be had", (await _room.RunAsync("run", "go", "--name", "bare", "--sandbox", level)).Expect(Refused).Error, StringComparison.Ordinal);

        var said = (await _room.RunAsync("run", "go", "--name", "bare", "--sandbox", "auto")).Error.ReplaceLineEndings(" ");
        Assert.Contains("no Bash: level kernel cannot be had (bubblewrap: ", said, StringComparison.Ordinal);
        Assert.Contains("level partial cannot be had (Landlock: this kernel has no Landlock", said, StringComparison.Ordinal);
        var results = _room.Journal("bare").OfType<Entry.ToolResult>().ToList();
        Assert.Equal([true, false], results.Select(result => result.IsError));
        Assert.Contains("not found", results[0].Summary, StringComparison.Ordinal);
        Assert.False(File.Exists(_room.Project + "/ran"));
        Assert.Equal("x", _room.Read("project/written"));
    }

    /// <summary>What is called from here on is called under a filter, and first, where a shell is given a line, in a user namespace of its own behind that line.</summary>
    private void Through(string? line, BpfInstruction[] filter)
    {
        var bytes = new byte[filter.Length * BpfInstruction.Size];
        for (var i = 0; i < filter.Length; i++) filter[i].Write(bytes.AsSpan(i * BpfInstruction.Size));
        var file = $"{_room.Root}/filter-{Guid.NewGuid():n}";
        File.WriteAllBytes(file, bytes);
        _room.Through = (program, args) => line is null
            ? ("/usr/bin/python3", ["-c", Under, file, program, .. args])
            : ("/usr/bin/unshare", ["--user", "--map-root-user", "/bin/sh", "-c", line + " && exec \"$@\"", "sh", program, .. args]);
    }

    private static BpfInstruction[] Filter(params IEnumerable<BpfInstruction> refusing) =>
        [new(BpfInstruction.LoadWord, 0, 0, SystemCall.NumberAt), .. refusing, new(BpfInstruction.Return, 0, 0, SeccompFilter.Allow)];

    private static BpfInstruction[] Answers(uint call, uint error) => [new(BpfInstruction.JumpEqual, 0, 1, call), new(BpfInstruction.Return, 0, 0, SeccompFilter.Nothing | error)];

    private static BpfInstruction[] WithoutNamespaces(uint error)
    {
        var (clone, unshare) = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? (56u, 272u) : (220u, 97u);
        IEnumerable<BpfInstruction> NoNewUser(uint call) =>
        [
            new(BpfInstruction.JumpEqual, 0, 4, call), new(BpfInstruction.LoadWord, 0, 0, SystemCall.ArgumentAt(0)), new(BpfInstruction.JumpSet, 0, 1, NewUser),
            new(BpfInstruction.Return, 0, 0, SeccompFilter.Nothing | error), new(BpfInstruction.Return, 0, 0, SeccompFilter.Allow),
        ];
        return Filter([.. NoNewUser(clone), .. NoNewUser(unshare), .. Answers(CallNumbers.Clone3, NoSuchCall)]); // The flags of clone3 no filter sees.
    }
}
