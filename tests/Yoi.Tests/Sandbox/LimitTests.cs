using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// A command that wants too much of anything fails alone, and the result names the limit. The limits here are small: the machine is shared.
/// Without a control group docs/sandbox.md promises less, and just that is what holds then.
/// </summary>
[Collection("sandbox")]
public sealed class LimitTests
{
    private const string TakesMemory = "import time; x = bytearray(SIZE << 20); time.sleep(0.2)";

    private static Task<SandboxRoom> RoomAsync(string level) =>
        SandboxRoom.MakeAsync(level, limits: new(Processes: 60, MemoryMb: 256, FileMb: 1, TempMb: 4, OutputMb: 1, Seconds: 60));

    /// <summary>Without a group the kernel counts by user: not root, and at level partial nobody, for all of the user's processes would count.</summary>
    private static bool AreProcessesHeld(string level) => CommandGroup.Counts.Processes || (level == "kernel" && Libc.Geteuid() != 0);

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18")]
    public async Task A_command_that_starts_processes_without_end_gets_no_more_than_its_limit(string level)
    {
        await using var room = await RoomAsync(level);
        Assert.Equal("20", await room.Run("for i in $(seq 20); do sleep 60 & done; jobs -p | wc -l"));
        var outcome = await room.Bash("""
            /usr/bin/python3 -c '
            import os, time
            n = 0
            try:
              while n < 200:
                if os.fork() == 0:
                  time.sleep(60)
                n += 1
            finally:
              print("started", n, flush=True)
            '
            """);
        Assert.Equal(AreProcessesHeld(level), outcome.IsError);
        if (!AreProcessesHeld(level))
        {
            Assert.Equal("started 200", outcome.Content);
            return; // The room sees that none is left.
        }
        Assert.Contains("60 processes and threads", outcome.Content, StringComparison.Ordinal);
        Assert.InRange(int.Parse(outcome.Content!.Split("started ")[1].Split('\n')[0], System.Globalization.CultureInfo.InvariantCulture), 30, 60);
        Assert.Equal("ok", await room.Run("echo ok"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18"), Trait("case", "S17")]
    public async Task A_fork_bomb_ends_with_its_call_and_the_next_command_works(string level)
    {
        if (!AreProcessesHeld(level)) Assert.Skip("without a control group nothing holds it, and this machine is to go on");
        await using var room = await RoomAsync(level);
        var outcome = await room.Bash("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60", ("timeout", 2000));
        Assert.True(outcome.IsError);
        Assert.Contains("2000 ms", outcome.Summary, StringComparison.Ordinal);
        Assert.Equal("ok", await room.Run("echo ok"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F12"), Trait("case", "S18")]
    public async Task Memory_is_limited_for_all_processes_of_a_command_together(string level)
    {
        await using var room = await RoomAsync(level);
        await room.Run($"/usr/bin/python3 -c '{TakesMemory.Replace("SIZE", "100", StringComparison.Ordinal)}'");
        var outcome = await room.Bash($"for i in 1 2 3 4 5; do /usr/bin/python3 -c '{TakesMemory.Replace("SIZE", "100", StringComparison.Ordinal)}' & done; wait; exit 1");
        if (!CommandGroup.Counts.Memory)
        {
            Assert.Null(outcome.Content); // Each of them is below the limit.
            return;
        }
        Assert.Contains("[yoi] the limit of 256 MiB of memory was reached", outcome.Content, StringComparison.Ordinal);
        Assert.Equal("ok", await room.Run("echo ok"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F12"), Trait("case", "S18")]
    public async Task One_process_that_takes_too_much_memory_fails_and_the_limit_is_named(string level)
    {
        await using var room = await RoomAsync(level);
        var said = await room.Fails("/usr/bin/python3 -c 'x = bytearray(20 << 30)'");
        Assert.Contains("MemoryError", said, StringComparison.Ordinal);
        Assert.Contains("256 MiB", said, StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F12"), Trait("case", "S18")]
    public async Task What_a_process_may_ask_for_is_limited_with_a_group_and_without_one_and_it_cannot_raise_that(string level)
    {
        await using var room = await RoomAsync(level);
        static string Takes(string what, int size) => $"/usr/bin/python3 -c 'import mmap; x = {what.Replace("SIZE", $"({size} << 20)", StringComparison.Ordinal)}; print(\"got\")'";
        Assert.Equal("262144", await room.Run("ulimit -Hd"));
        foreach (var way in new[] { "bytearray(SIZE)", "mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)" })
        {
            Assert.Equal("got", await room.Run(Takes(way, 100)));
            foreach (var size in new[] { 300, 20 << 10 }) Assert.Contains("memory, 256 MiB", await room.Fails(Takes(way, size)), StringComparison.Ordinal);
            await room.Fails("ulimit -d unlimited && " + Takes(way, 300));
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F12"), Trait("case", "S18")]
    public async Task What_is_really_in_memory_is_limited_where_there_is_a_group_however_it_was_asked_for(string level)
    {
        await using var room = await RoomAsync(level);
        // Shared memory is in nobody's data segment: a limit of a process does not see it.
        static string Uses(int size) => $"/usr/bin/python3 -c 'import mmap; m = mmap.mmap(-1, {size} << 20); [m.__setitem__(i, 1) for i in range(0, {size} << 20, 4096)]; print(\"us\" \"ed\")'";
        Assert.Equal("used", await room.Run(Uses(100)));
        var outcome = await room.Bash(Uses(400));
        if (!CommandGroup.Counts.Memory)
        {
            Assert.Equal("used", outcome.Content);
            Assert.Contains("what processes share is then not held", await File.ReadAllTextAsync(Path.Combine(Structure.SourceTree.Root, "docs/sandbox.md"), SandboxRoom.Ct), StringComparison.Ordinal);
            return;
        }
        Assert.True(outcome.IsError, outcome.Content);
        Assert.DoesNotContain("used", outcome.Content, StringComparison.Ordinal);
        Assert.Contains("[yoi] the limit of 256 MiB of memory was reached", outcome.Content, StringComparison.Ordinal);
        Assert.Equal("ok", await room.Run("echo ok"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18")]
    public async Task A_file_grows_to_its_limit_and_no_further(string level)
    {
        await using var room = await RoomAsync(level);
        await room.Run("head -c 1000000 /dev/zero > fits");
        var said = await room.Fails("head -c 3000000 /dev/zero > big");
        Assert.Contains("a file may have 1 MiB", said, StringComparison.Ordinal);
        Assert.Equal(1 << 20, new FileInfo(room.W + "/big").Length);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18")]
    public async Task What_is_in_memory_and_looks_like_files_is_limited_too(string level)
    {
        await using var room = await RoomAsync(level);
        if (level == "partial")
        {
            // There are no such files.
            foreach (var way in new[] { "echo x > /dev/shm/f", "echo x > /tmp/f", "/usr/bin/python3 -c 'import multiprocessing as m; m.Lock()'" }) await room.Fails(way);
            return;
        }
        await room.Run("for i in 1 2 3; do head -c 1000000 /dev/zero > /dev/shm/$i; done");
        Assert.Contains("4 MiB in /dev/shm", await room.Fails("for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > /dev/shm/$i || exit 1; done"), StringComparison.Ordinal);
        await room.Fails("echo x > /dev/file");
        Assert.Equal("ok", await room.Run("echo x > /dev/null && [ -c /dev/null ] && /usr/bin/python3 -c 'import multiprocessing as m; m.Lock(); print(\"ok\")'"));
    }

    [Theory, Trait("case", "S18"), Trait("case", "G12")]
    [InlineData("kernel", "yes")]
    [InlineData("partial", "yes")]
    [InlineData("kernel", "head -c 20G /dev/zero")]
    [InlineData("kernel", "head -c 100000000 /dev/zero | tr '\\0' a")]
    public async Task Output_is_kept_up_to_its_limit_and_then_the_command_is_ended(string level, string command)
    {
        await using var room = await RoomAsync(level);
        var outcome = await room.Bash(command);
        Assert.True(outcome.IsError);
        Assert.Contains("more than its limit of 1 MiB", outcome.Summary, StringComparison.Ordinal);
        Assert.InRange(outcome.Content!.Length, 20_000, 32_000);
        Assert.Equal(1 << 20, new FileInfo(Directory.GetFiles(room.PodDirectory + "/sandbox/output").Single()).Length);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18")]
    public async Task A_command_that_makes_files_without_end_is_ended_by_its_time(string level)
    {
        await using var room = await RoomAsync(level);
        var outcome = await room.Bash("mkdir many; i=0; while :; do : > many/$((i++)); done", ("timeout", 1000));
        Assert.Contains("1000 ms", outcome.Summary, StringComparison.Ordinal);
        Assert.Equal("ok", await room.Run("rm -rf many && echo ok"));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task No_more_time_can_be_asked_for_than_the_user_allows(string level)
    {
        await using var room = await RoomAsync(level);
        Assert.Contains("from 1 to 60000", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true", ("timeout", 60_001)))).Message, StringComparison.Ordinal);
        Assert.False((await room.Bash("true", ("timeout", 60_000))).IsError);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_command_leaves_no_control_group(string level)
    {
        await using var room = await RoomAsync(level);
        var before = Groups(); // A test of commands that do not die leaves theirs.
        await room.Bash("sleep 60", ("run_in_background", true), ("name", "one"));
        Assert.Equal(CommandGroup.Counts is (false, false), Groups().Count == before.Count);
        await room.Ask("KillBash", ("name", "one"));
        Assert.Equal(before, Groups());
    }

    /// <summary>Those that this process made.</summary>
    private static List<string> Groups() => !Directory.Exists("/sys/fs/cgroup") ? [] :
        [.. Directory.EnumerateDirectories("/sys/fs/cgroup", $"yoi-{Environment.ProcessId}-*", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true })];
}
