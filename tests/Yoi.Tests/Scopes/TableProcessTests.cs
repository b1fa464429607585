using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Shared;

namespace Yoi.Tests.Scopes;

/// <summary>The table between real processes, with real life-locks.</summary>
public sealed class TableProcessTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ScopeTable Real(TimeSpan? wait = null) => new(_room.Directories, TimeProvider.System) { Wait = wait ?? TimeSpan.FromSeconds(20) };

    [Fact, Trait("case", "L07")]
    public Task Processes_that_take_lend_and_return_at_random_never_share_a_path() => StormAsync(Slice.Of(12, 100), Slice.Of(20, 60), Slice.Of(3, 10));

    [Theory, Trait("case", "L13")]
    [InlineData("count", false)]
    [InlineData("count file alone", true)]
    public async Task A_lock_file_that_is_removed_moved_or_replaced_under_twenty_processes_makes_no_second_holder(string how, bool lost)
    {
        const int processes = 20, times = 40;
        var path = _room.Directories.ScopeLock;
        _room.Table.Open();
        var crowd = Enumerable.Range(0, processes).Select(_ => ScopeChild.Start([.. how.Split(' ', 2), _room.Root, $"{times}"])).ToList();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        for (var turn = 0; crowd.Any(process => !process.HasExited); await ticks.WaitForNextTickAsync(Ct), turn++)
        {
            if (turn % 3 == 0) File.Delete(path);
            else if (turn % 3 == 1) _ = Libc.Rename(path, _room.Root + "/moved");
            else
            {
                PrivateFile.OpenToWrite(_room.Root + "/other").Dispose();
                Assert.Equal(0, Libc.Rename(_room.Root + "/other", path));
            }
        }
        Assert.All(crowd, process => Assert.Equal(0, process.ExitCode));
        foreach (var process in crowd) process.Dispose();
        var counted = int.Parse(await File.ReadAllTextAsync(_room.Root + "/counter", Ct), CultureInfo.InvariantCulture);
        // A second holder loses what the first has counted. The control: with a lock on that file alone there are some.
        if (lost) Assert.InRange(counted, 1, (processes * times) - 1);
        else Assert.Equal(processes * times, counted);
    }

    [Fact, Trait("case", "L15")]
    public async Task Locks_hold_where_the_runtime_is_told_to_take_none()
    {
        string[] told = ["env", "DOTNET_SYSTEM_IO_DISABLEFILELOCKING=1"];
        Assert.Equal("held", await FirstLine(["share", _room.Root + "/f"], null)); // The control: for the runtime's own locks it is so.
        Assert.Equal("shared", await FirstLine(["share", _room.Root + "/f"], told));
        await StormAsync(6, Slice.Of(20, 60), killed: 1, told);
    }

    /// <summary>Processes that take, lend and return at random; their histories pass the checker, and those that were not killed come to their end.</summary>
    private async Task StormAsync(int processes, int rounds, int killed, string[]? through = null)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        var random = new Random(seed);
        var storm = Enumerable.Range(0, processes).Select(number => ScopeChild.Start(["storm", _room.Root, $"{number}", $"{seed + number}", $"{rounds}"], through: through)).ToList();
        var ends = new long[processes];
        Array.Fill(ends, long.MaxValue);
        try
        {
            for (var victim = 0; victim < killed; victim++)
            {
                // Somewhere in its work: as soon as it has said so many lines.
                for (var lines = random.Next(1, 10); lines > 0; lines--) await storm[victim].StandardOutput.ReadLineAsync(Ct);
                ends[victim] = Stopwatch.GetTimestamp();
                storm[victim].Kill();
            }
            foreach (var process in storm) await process.WaitForExitAsync(Ct);
            Assert.All(storm.Skip(killed), process => Assert.Equal(0, process.ExitCode));
        }
        finally
        {
            foreach (var process in storm)
            {
                if (!process.HasExited) process.Kill();
                process.Dispose();
            }
        }
        Assert.All(Enumerable.Range(killed, processes - killed), number => Assert.Contains(" . ", Lines(number)[^1], StringComparison.Ordinal));
        var (taken, refused) = Check(ends);
        TestContext.Current.TestOutputHelper?.WriteLine($"{taken} taken, {refused} refused");
        Assert.True(taken > processes && refused > 0, $"{taken} taken, {refused} refused: no contention, no test");

        using var table = Real();
        var row = ScopeChild.RowOf(_room.Directories, "after", "write:/storm");
        using var life = PodLock.TryTake(row.Directory);
        await table.AcquireAsync(row, Ct);
        Assert.Single(table.Read().Pods);
    }

    // The checker: by time, every "+" finds its paths free, every "-" frees them. A killed process holds nothing from then on.
    private (int Taken, int Refused) Check(long[] ends)
    {
        var facts = new List<(long Time, string Pod, string What, string Path)>();
        for (var number = 0; number < ends.Length; number++)
        {
            var pods = new HashSet<string>();
            foreach (var line in Lines(number))
            {
                var words = line.Split(' ');
                if (words.Length < 4 || long.Parse(words[0], CultureInfo.InvariantCulture) is var time && time > ends[number]) continue;
                facts.Add((time, words[1], words[2], words[3]));
                pods.Add(words[1]);
            }
            if (ends[number] < long.MaxValue) facts.AddRange(pods.Select(pod => (ends[number], pod, "-", "/storm")));
        }
        var owner = new Dictionary<string, string>();
        foreach (var (_, pod, what, path) in facts.OrderBy(fact => fact.Time))
            foreach (var cell in Storm.Paths.Where(cell => ScopePath.IsAtOrBelow(cell, path)))
            {
                if (what == "+") Assert.True(owner.TryAdd(cell, pod) || owner[cell] == pod, $"{cell} is held by {owner[cell]} and {pod}");
                else if (what == "-" && owner.GetValueOrDefault(cell) == pod) owner.Remove(cell);
            }
        return (facts.Count(fact => fact.What == "+"), facts.Count(fact => fact.What == "!"));
    }

    private string[] Lines(int number)
    {
        var path = Storm.HistoryOf(_room.Root, number);
        return File.Exists(path) ? File.ReadAllText(path).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [];
    }

    [Fact, Trait("case", "L11")]
    public async Task A_holder_that_is_stopped_inside_the_lock_is_named_after_a_bounded_wait()
    {
        using var holder = ScopeChild.Start(["hold", _room.Root, "sleeper", "write:/w/a"], failpoint: "table.write:stop");
        try
        {
            await ScopeChild.Stopped(holder, Ct);
            using var table = Real(TimeSpan.FromMilliseconds(300));
            var row = ScopeChild.RowOf(_room.Directories, "waiter", "write:/w/b");
            using var life = PodLock.TryTake(row.Directory);
            var start = TimeProvider.System.GetTimestamp();
            var busy = await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(row, Ct));
            Assert.InRange(TimeProvider.System.GetElapsedTime(start), TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(5));
            foreach (var word in (string[])["busy", "sleeper", $"pid {holder.Id}", "stopped", $"kill -CONT {holder.Id}"])
                Assert.Contains(word, busy.Message, StringComparison.Ordinal);
            Assert.Empty(table.Read().Pods); // Reading takes no lock.

            Libc.Kill(holder.Id, Libc.SigCont);
            Assert.StartsWith("holds", await holder.StandardOutput.ReadLineAsync(Ct), StringComparison.Ordinal);
            await table.AcquireAsync(row, Ct);
        }
        finally
        {
            holder.Kill();
            await holder.WaitForExitAsync(Ct);
        }
    }

    [Fact, Trait("case", "L11")]
    public async Task A_stopped_owner_keeps_its_scope_and_a_killed_one_does_not()
    {
        using var owner = ScopeChild.Start(["hold", _room.Root, "owner", "write:/w/a"]);
        try
        {
            Assert.StartsWith("holds", await owner.StandardOutput.ReadLineAsync(Ct), StringComparison.Ordinal);
            Libc.Kill(owner.Id, Libc.SigStop);
            await ScopeChild.Stopped(owner, Ct);
            using var table = Real();
            var row = ScopeChild.RowOf(_room.Directories, "next", "write:/w");
            using var life = PodLock.TryTake(row.Directory);
            var held = await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(row, Ct));
            Assert.Equal("owner", held.Holder);
            Assert.Contains($"pid {owner.Id}", held.Message, StringComparison.Ordinal);
            owner.Kill();
            await owner.WaitForExitAsync(Ct);
            await table.AcquireAsync(row, Ct);
            Assert.Equal("next", table.Read().Pods.Single().Name);
        }
        finally
        {
            if (!owner.HasExited) owner.Kill();
        }
    }

    [Theory, Trait("case", "L01")]
    [InlineData("table.write")]
    [InlineData("table.sync")]
    [InlineData("table.rename")]
    [InlineData("table.directory_sync")]
    public async Task Killed_at_any_step_of_a_change_the_table_is_the_old_one_or_the_new_one(string step)
    {
        using var table = Real();
        var row = ScopeChild.RowOf(_room.Directories, "lead", "write:/w");
        table.Open();
        using var life = PodLock.TryTake(row.Directory);
        await table.AcquireAsync(row, Ct);
        Assert.Equal("", await FirstLine(["hold", _room.Root, "victim", "write:/v"], null, step + ":kill"));
        Assert.Equal(step == "table.directory_sync" ? 2 : 1, table.Read().Pods.Count);
        var next = ScopeChild.RowOf(_room.Directories, "next", "write:/v");
        using var nextLife = PodLock.TryTake(next.Directory);
        await table.AcquireAsync(next, Ct);
        Assert.Equal(["lead", "next"], table.Read().Pods.Select(pod => pod.Name));
        Assert.False(File.Exists(_room.Directories.ScopeTable + ".tmp"));
    }

    [Theory, Trait("case", "L04"), Trait("case", "L05")]
    [InlineData("table.write:enospc", "Nothing was changed")]
    [InlineData("table.sync:eio", "Nothing was changed")]
    [InlineData("table.rename:enospc", "Nothing was changed")]
    [InlineData("table.directory_sync:eio", "may be lost")]
    public async Task A_change_that_fails_is_reported_and_the_next_one_works(string failpoint, string word)
    {
        var said = await FirstLine(["hold", _room.Root, "unlucky", "write:/w"], null, failpoint);
        Assert.StartsWith("refused the scope table could not be written", said, StringComparison.Ordinal);
        Assert.Contains(word, said, StringComparison.Ordinal);
        Assert.StartsWith("holds", await FirstLine(["hold", _room.Root, "unlucky", "write:/w"], null), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L04")]
    public async Task On_a_disk_that_is_really_full_the_old_table_stays_and_the_next_change_works_once_there_is_space()
    {
        Needs.Namespaces();
        var state = Directory.CreateDirectory(_room.Directories.State).FullName;
        var steps = $"mount -t tmpfs -o size=64k,mode=700 small {state} && \"$0\"; cat /dev/zero >{state}/filler 2>/dev/null; \"$0\"; cat {state}/scopes.json; echo; rm {state}/filler; \"$0\"";
        using var process = ScopeChild.Start(["hold", _room.Root, "lead", "write:/w"], through: ["unshare", "-rm", "sh", "-c", steps]);
        process.StandardInput.Close();
        var said = (await process.StandardOutput.ReadToEndAsync(Ct)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        await process.WaitForExitAsync(Ct);
        Assert.Equal("holds 1", said[0]);
        Assert.Contains("No space left", said[1], StringComparison.Ordinal);
        Assert.StartsWith("{\"version\":1,\"generation\":2,\"pods\":[]", said[2], StringComparison.Ordinal); // As it was released before.
        Assert.Equal("holds 3", said[3]);
    }

    [Theory, Trait("case", "L05")]
    [InlineData("fdatasync", "Nothing was changed")]
    [InlineData("fsync", "may be lost with the power: do not use it")]
    public async Task A_sync_that_the_disk_refuses_is_no_change(string call, string word)
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        _room.Table.Open();
        string[] failing = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", _room.Directories.State, "-P", _room.Directories.ScopeTable + ".tmp", "-e", "trace=" + call, "-e", $"inject={call}:error=EIO"];
        Assert.Contains(word, await FirstLine(["hold", _room.Root, "lead", "write:/w"], failing), StringComparison.Ordinal);
        Assert.StartsWith("holds", await FirstLine(["hold", _room.Root, "lead", "write:/w"], null), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L15")]
    public async Task Locks_that_the_kernel_does_not_give_are_an_error_and_not_a_free_table()
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        string[] without = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"];
        Assert.Contains("cannot be locked: flock", await FirstLine(["hold", _room.Root, "lead", "write:/w"], without), StringComparison.Ordinal);
        Assert.False(File.Exists(_room.Directories.ScopeTable));
    }

    [Fact, Trait("case", "P25")]
    public async Task A_bind_mount_is_no_second_way_to_write()
    {
        Needs.Namespaces();
        Directory.CreateDirectory(_room.Root + "/w/a");
        Directory.CreateDirectory(_room.Root + "/x");
        using var table = Real();
        var row = ScopeChild.RowOf(_room.Directories, "first", $"write:{_room.Root}/w");
        using var life = PodLock.TryTake(row.Directory);
        await table.AcquireAsync(row, Ct);
        string[] mounted = ["unshare", "-rm", "sh", "-c", $"mount --bind {_room.Root}/w/a {_room.Root}/x && exec \"$0\""];

        Assert.Contains("under another name, which is held for writing by first", await FirstLine(["hold", _room.Root, "second", $"write:{_room.Root}/x"], mounted), StringComparison.Ordinal);
        Assert.StartsWith("holds", await FirstLine(["hold", _room.Root, "control", $"write:{_room.Root}/x"], null), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L16")]
    public async Task A_started_program_inherits_no_lock()
    {
        var row = ScopeChild.RowOf(_room.Directories, "lead", "write:/w");
        _room.Table.Open();
        using var life = PodLock.TryTake(row.Directory);
        Process program;
        using (await TableLock.TakeAsync(_room.Directories, _room.IsAlive, TimeProvider.System, "lead", TimeSpan.FromSeconds(5), Ct))
        {
            program = Process.Start(new ProcessStartInfo("sleep", "60"))!;
            Assert.Contains(Open("self"), path => path == _room.Directories.ScopeLock); // The positive control.
            Assert.DoesNotContain(Open($"{program.Id}"), path => path.StartsWith(_room.Root, StringComparison.Ordinal));
        }
        try
        {
            // While the program goes on. What another thread starts this moment has a copy of everything until its exec.
            (await TableLock.TakeAsync(_room.Directories, _room.IsAlive, TimeProvider.System, "lead", TimeSpan.FromSeconds(5), Ct)).Dispose();
        }
        finally
        {
            program.Kill();
            await program.WaitForExitAsync(Ct);
            program.Dispose();
        }
    }

    private static List<string> Open(string pid) =>
        [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Select(path => new FileInfo(path).LinkTarget ?? "")];

    private static async Task<string> FirstLine(string[] words, string[]? through, string? failpoint = null)
    {
        using var process = ScopeChild.Start(words, failpoint, through);
        var line = await process.StandardOutput.ReadLineAsync(Ct) ?? "";
        process.StandardInput.Close();
        await process.WaitForExitAsync(Ct);
        return line;
    }
}
