using System.Globalization;
using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Shared;

namespace Yoi.Tests.Sandbox;

/// <summary>The keeper of level <c>partial</c>: what it does not fully restrict it does not start, and what it started never outlives it.</summary>
[Collection("sandbox")]
public sealed class KeeperTests
{
    private static PodProgram Env(params string[] arguments) => new("/usr/bin/env", ["env", .. arguments, RealPod.Yoi, PodProgram.Keep]);

    /// <summary>The keeper under a filter that knows one system call less.</summary>
    private static PodProgram Without(uint call, SandboxRoom room)
    {
        BpfInstruction[] filter =
        [
            new(BpfInstruction.LoadWord, 0, 0, SystemCall.NumberAt), new(BpfInstruction.JumpEqual, 0, 1, call), new(BpfInstruction.Return, 0, 0, SeccompFilter.NoSuchCall),
            new(BpfInstruction.Return, 0, 0, SeccompFilter.Allow),
        ];
        var bytes = new byte[filter.Length * BpfInstruction.Size];
        for (var i = 0; i < filter.Length; i++) filter[i].Write(bytes.AsSpan(i * BpfInstruction.Size));
        File.WriteAllBytes(room.Root + "/filter", bytes);
        return new("/bin/bash", ["bash", "-c", $"exec bwrap --dev-bind / / --seccomp 9 {RealPod.Yoi} keep 9<{room.Root}/filter"]);
    }

    [Fact, Trait("case", "S20"), Trait("case", "S21")]
    public async Task A_keeper_that_is_none_or_dies_or_cannot_restrict_runs_nothing_and_says_why()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        (string Name, PodProgram Program)[] broken =
        [
            ("no program", new("/no/such/yoi", ["yoi", "keep"])),
            ("another program", new("/bin/false", ["false"])),
            ("killed when half of it is done", Env("YOI_FAILPOINT=keeper.restricted:kill")),
            ("killed before it is told", Env("YOI_FAILPOINT=keeper.started:kill")),
            ("no Landlock in the kernel", Without(446, room)),
            ("no capability can be dropped", Without(RuntimeInformation.OSArchitecture == Architecture.X64 ? 126u : 91u, room)),
        ];
        foreach (var (name, program) in broken)
        {
            await using var launcher = new CommandLauncher("partial", () => program, null, _ => null, TimeProvider.System);
            var order = room.Order("echo x > ran");
            var refused = await Assert.ThrowsAsync<SandboxException>(() => launcher.StartAsync(order, SandboxRoom.Ct));
            Assert.True(refused.Message.Length > 20, name);
            Assert.False(File.Exists(order.OutputPath), name);
            await Eventually.Holds(() => room.Shells.Count == 0);
            Assert.False(File.Exists(room.W + "/ran"), name);
        }
        Assert.False(CommandMarks.AnyLeft(room.PodDirectory));
        await room.Run("echo x > ran"); // And else it runs.
    }

    [Fact, Trait("case", "S20")]
    public async Task Each_command_has_the_network_of_its_own_order_whatever_those_before_it_had()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var launcher = room.NewLauncher();
        foreach (var network in new[] { false, true, true, false })
        {
            var order = room.Order("LC_ALL=C; exec 3<>/dev/tcp/127.0.0.1/9");
            await using var command = await launcher.StartAsync(order with { Policy = order.Policy with { Network = network } }, SandboxRoom.Ct);
            command.Go();
            await command.Ended;
            Assert.Contains(network ? "Connection refused" : "family not supported", command.Output.Text(0, 4096), StringComparison.Ordinal);
        }
    }

    [Fact, Trait("case", "S17"), Trait("case", "S15")]
    public async Task Commands_end_with_a_keeper_that_somebody_kills_and_the_next_has_a_new_one()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Bash("setsid -f sleep 600; echo x > begun; sleep 600", ("run_in_background", true), ("name", "one"));
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        var keeper = ParentOf(room.Shell.Named("one").Process.Process.Pid);
        _ = Libc.Kill(keeper, Libc.SigKill);
        Assert.Equal("killed", (await room.Shell.Named("one").Ended).Why);
        Assert.Empty(room.Shells);
        Assert.Equal("fine", await room.Run("echo fine"));
    }

    [Fact, Trait("case", "S17"), Trait("case", "T41")]
    public async Task A_command_that_comes_while_somebody_kills_the_keeper_is_killed_with_it_or_run_by_a_new_one()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        List<string> whole = [];
        for (var i = 0; i < 20; i++)
        {
            await room.Run("true");
            Assert.Equal(0, Libc.Kill(ParentOf(await room.NextShellAsync()), Libc.SigKill));
            var outcome = await room.Bash($"echo {i} >> ran; echo fine"); // The Pod may not know of it yet.
            if (outcome.IsError) Assert.EndsWith("(killed)", outcome.Summary, StringComparison.Ordinal);
            else Assert.Equal("fine", outcome.Content);
            if (!outcome.IsError) whole.Add($"{i}");
        }
        string[] ran = File.Exists(room.W + "/ran") ? File.ReadAllLines(room.W + "/ran") : [];
        Assert.Equal(ran.Distinct(), ran);
        Assert.Empty(whole.Except(ran));
    }

    [Fact, Trait("case", "S17")]
    public async Task Commands_have_a_new_keeper_also_where_what_the_old_one_left_could_not_be_looked_at()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Run("true");
        var waiting = await room.NextShellAsync();
        var unreadable = $"{room.PodDirectory}/{PodFiles.Commands}/1-1";
        File.CreateSymbolicLink(unreadable, unreadable); // As it is for a Pod that has no descriptor left then.
        Assert.Equal(0, Libc.Kill(ParentOf(waiting), Libc.SigKill));
        await Eventually.Holds(() => room.Shells.Count == 0);

        Assert.Equal("fine", await room.Run("echo fine"));

        File.Delete(unreadable);
    }

    [Fact, Trait("case", "S17"), Trait("case", "S20")]
    public async Task While_a_new_keeper_cannot_be_started_commands_are_refused_and_afterwards_they_run()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var program = SandboxRoom.Keeper;
        await using var launcher = new CommandLauncher("partial", () => program, null, _ => null, TimeProvider.System);
        await RunAsync();
        var waiting = await room.NextShellAsync();

        program = new("/no/such/yoi", ["yoi", "keep"]);
        Assert.Equal(0, Libc.Kill(ParentOf(waiting), Libc.SigKill));
        await Eventually.Holds(() => room.Shells.Count == 0);
        for (var i = 0; i < 3; i++) await Assert.ThrowsAsync<SandboxException>(RunAsync);

        program = SandboxRoom.Keeper;
        await RunAsync();

        async Task RunAsync()
        {
            await using var command = await launcher.StartAsync(room.Order("true"), SandboxRoom.Ct);
            command.Go();
            Assert.Equal(0, (await command.Ended).Exit?.Code);
        }
    }

    [Fact, Trait("case", "S17")]
    public async Task A_keeper_that_gets_no_more_threads_refuses_commands_and_goes_on_with_those_that_run()
    {
        Assert.SkipWhen(Libc.Geteuid() == 0, "the kernel does not hold root to a number of processes");
        Needs.Programs("prlimit");
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Bash("sleep 600", ("run_in_background", true), ("name", "one"));
        var keeper = ParentOf(room.Shell.Named("one").Process.Process.Pid);

        await room.OnHost($"prlimit --pid {keeper} --nproc=1:");
        for (var i = 0; i < 3; i++) Assert.StartsWith("not run: ", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true"))).Message, StringComparison.Ordinal);
        await room.OnHost($"prlimit --pid {keeper} --nproc=$(prlimit --pid {keeper} --nproc --noheadings --output HARD):");

        Assert.Equal("fine", await room.Run("echo fine"));
        Assert.Null(room.Shell.Named("one").End);
        Assert.Equal(keeper, ParentOf(room.Shell.Named("one").Process.Process.Pid));
    }

    [Theory, InlineData(Libc.SigCont), InlineData(Libc.SigStop), Trait("case", "S17")]
    public async Task A_shell_that_waits_ends_with_a_keeper_that_somebody_kills_also_if_it_is_held(int signal)
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Run("true");
        var waiting = await room.NextShellAsync();
        var keeper = ParentOf(waiting);
        Assert.Equal(0, Libc.Kill(waiting, signal));
        Assert.Equal(0, Libc.Kill(keeper, Libc.SigKill));

        await Eventually.Holds(() => room.Shells.Count == 0);
        Assert.Equal("fine", await room.Run("echo fine"));
    }

    [Fact, Trait("case", "S18"), Trait("case", "S17")]
    public async Task Where_no_process_is_to_be_had_the_next_command_is_refused_and_the_keeper_holds_those_that_run()
    {
        SandboxRoom.SkipWithout("partial");
        if (CommandGroup.Usable.FirstOrDefault(root => root.Processes) is not { } root)
        {
            Assert.Skip(MemoryGroup.Needed);
            return;
        }
        var group = new MemoryGroup(root, $"{root.Directory}/test-{Guid.NewGuid():n}.scope");
        Directory.CreateDirectory(Path.GetDirectoryName(group.Processes)!);
        await using (var room = await SandboxRoom.MakeAsync("partial"))
        {
            await room.Bash("/usr/bin/env -i sleep 600 & echo x > begun; wait", ("run_in_background", true), ("name", "one"));
            await Eventually.Holds(() => File.Exists(room.W + "/begun"));
            await room.Run("true");
            await Eventually.Holds(() => room.Shells.Any(shell => shell.Waits));
            var first = room.Shell.Named("one").Process.Process.Pid;
            var keeper = ParentOf(first);
            group.Add(keeper);
            File.WriteAllText(group.Directory + "/pids.max", "0");

            Assert.Equal("fine", await room.Run("echo fine")); // It waited already. None can be made ready behind it.
            foreach (var _ in Enumerable.Range(0, 3))
                Assert.Contains("not run: the sandbox could not be made", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("echo x > ran"))).Message, StringComparison.Ordinal);
            File.WriteAllText(group.Directory + "/pids.max", "max");

            Assert.Equal("fine", await room.Run("echo fine"));
            Assert.False(File.Exists(room.W + "/ran"));
            Assert.Equal((keeper, null), (ParentOf(first), room.Shell.Named("one").End));
        }
        await group.RemoveAsync();
    }

    [Fact, Trait("case", "S17")]
    public async Task The_end_of_one_command_is_the_end_of_its_own_tree_alone()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Bash("setsid -f sh -c 'while :; do sleep 0.02; echo x >> beat; done'; sleep 600", ("run_in_background", true), ("name", "one"));
        await Eventually.Holds(() => File.Exists(room.W + "/beat"));
        await room.Run("setsid -f sleep 601; setsid sleep 602 & true");
        var length = new FileInfo(room.W + "/beat").Length;
        await Eventually.Holds(() => new FileInfo(room.W + "/beat").Length > length + 10);
        Assert.False(Running("601") || Running("602"));
        await room.Ask("KillBash", ("name", "one"));
        Assert.False(AnyOf(room));

        bool Running(string seconds) => Directory.EnumerateDirectories("/proc").Any(path => Text(path + "/cmdline") == $"sleep\0{seconds}\0" && Text(path + "/environ").Contains(room.Places.SeenTemp, StringComparison.Ordinal));
    }

    [Fact, Trait("case", "T09")]
    public async Task A_root_that_is_lent_whole_can_be_held_and_a_part_of_one_cannot()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "write:/R"], scene: root => Directory.CreateDirectory(root + "/R/part"));
        var whole = await room.LendAsync("whole", "write:/R");
        await room.Run("echo x > beside");
        await room.Fails($"echo x > {room.Root}/R/f");
        await room.Table.ReleaseAsync(whole, SandboxRoom.Ct);
        await room.LendAsync("part", "write:/R/part");
        Assert.True(await room.IsRefused("/R/part is lent to part and lies in"));
    }

    private static int ParentOf(int pid) => int.Parse(Text($"/proc/{pid}/stat").Split(") ")[1].Split(' ')[1], CultureInfo.InvariantCulture);

    /// <summary>Any process of a command of this room.</summary>
    private static bool AnyOf(SandboxRoom room) => room.Shells.Any(shell => !shell.Waits);

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
