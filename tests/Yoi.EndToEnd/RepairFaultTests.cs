using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>
/// Steps that no scenario of the torture passes, each killed and failed: what mends or removes files by hand. Done again it comes to the same end,
/// and nothing that was there before is lost on the way.
/// </summary>
public sealed class RepairFaultTests : IAsyncDisposable
{
    private static readonly string[] Actions = ["kill", "eio", "enospc"];

    private static readonly byte[] Torn = Encoding.UTF8.GetBytes("""{"seq":999,"time":"2026""");

    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private string DirectoryOf(string pod) => Directory.GetDirectories(_room.Directories.Pods, pod + ".*").Single();

    private string JournalOf(string pod) => Path.Combine(DirectoryOf(pod), PodFiles.Journal);

    private static string[] KeptOf(string path) => Directory.GetFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + ".damaged-*");

    /// <summary>A Pod that was given something to do, said something, and was killed.</summary>
    private async Task DeadPodAsync(ModelServer server, string name)
    {
        _room.UseModel(server);
        var started = (await _room.RunAsync("start", name, "--task", "hello", "--json")).Expect(0).Json;
        (await _room.RunAsync("wait", name)).Expect(0);
        using var process = System.Diagnostics.Process.GetProcessById(started.GetProperty("pid").GetInt32());
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The verb with one step that fails: it says so, and is killed or ends with an exit code that says so, too.</summary>
    private async Task<YoiResult> FailsAsync(string armed, params string[] args)
    {
        _room.Variable("YOI_FAILPOINT", armed);
        _room.Variable("YOI_FAILPOINT_LOG", _room.Root + "/passed");
        var failed = await _room.RunAsync(args);
        _room.Variable("YOI_FAILPOINT", null);
        _room.Variable("YOI_FAILPOINT_LOG", null);
        Assert.NotEqual(0, failed.ExitCode);
        Assert.NotEqual(70, failed.ExitCode);
        Assert.Contains(armed.Split('#')[0].Split(':')[0] + ":" + armed.Split(':')[1], File.ReadAllLines(_room.Root + "/passed"));
        File.Delete(_room.Root + "/passed");
        return failed;
    }

    [Fact, Trait("case", "G10")]
    public async Task A_repair_that_is_cut_off_leaves_the_damaged_journal_or_the_repaired_one_and_is_done_by_the_next()
    {
        await using var server = await ModelServer.StartAsync();
        await DeadPodAsync(server, "api");
        var journal = JournalOf("api");
        var good = await File.ReadAllLinesAsync(journal, TestContext.Current.CancellationToken);
        byte[] damaged = [.. Encoding.UTF8.GetBytes(string.Join('\n', [.. good[..2], "nonsense", .. good[3..]]) + "\n"), .. Torn];
        foreach (var point in (string[])[Failpoints.RepairWrite, Failpoints.RepairSync, Failpoints.RepairKeep, Failpoints.RepairRename, Failpoints.RepairDirectorySync])
            foreach (var action in Actions)
            {
                await File.WriteAllBytesAsync(journal, damaged, TestContext.Current.CancellationToken);
                await FailsAsync($"{point}:{action}", "repair", "api");
                var between = await File.ReadAllBytesAsync(journal, TestContext.Current.CancellationToken);
                Assert.Equal(point != Failpoints.RepairDirectorySync, between.SequenceEqual(damaged));
                (await _room.RunAsync("repair", "api")).Expect(0);
                Assert.Equal("dead", (await _room.PodsAsync())["api"].GetProperty("state").GetString());
                var lines = await File.ReadAllLinesAsync(journal, TestContext.Current.CancellationToken);
                Assert.Equal([.. good[..2], .. good[3..]], [.. lines[..2], .. lines[3..]]);
                Assert.IsType<Entry.Repaired>(_room.Journal("api")[2]);
                Assert.Equal(damaged, await File.ReadAllBytesAsync(Assert.Single(KeptOf(journal)), TestContext.Current.CancellationToken));
                Assert.False(File.Exists(journal + ".new"));
                File.Delete(KeptOf(journal).Single());
            }
        (await _room.RunAsync("restore", "api")).Expect(0);
        (await _room.RunAsync("stop", "api")).Expect(0);
    }

    [Theory]
    [InlineData(PodFiles.Journal)]
    [InlineData(PodFiles.Lock)]
    public async Task What_stands_in_the_place_of_a_file_is_put_aside_by_the_repair_after_the_one_that_was_cut_off(string name)
    {
        await using var server = await ModelServer.StartAsync();
        await DeadPodAsync(server, "api");
        var (path, elsewhere) = ($"{DirectoryOf("api")}/{name}", _room.Root + "/elsewhere");
        File.Move(path, elsewhere);
        foreach (var point in (string[])[Failpoints.RepairAside, Failpoints.RepairDirectorySync])
            foreach (var action in Actions)
            {
                if (File.Exists(path)) File.Delete(path);
                File.CreateSymbolicLink(path, elsewhere);
                await FailsAsync($"{point}:{action}", "repair", "api");
                (await _room.RunAsync("repair", "api")).Expect(0);
                Assert.Equal(elsewhere, new FileInfo(Assert.Single(KeptOf(path))).LinkTarget);
                File.Delete(KeptOf(path).Single());
            }
        File.Move(elsewhere, path, overwrite: true);
        (await _room.RunAsync("restore", "api")).Expect(0);
        (await _room.RunAsync("stop", "api")).Expect(0);
    }

    [Fact, Trait("case", "T25")]
    public async Task A_table_that_is_made_anew_and_cut_off_at_any_step_is_made_by_the_next_and_nobody_writes_twice_meanwhile()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        (await _room.RunAsync("start", "api")).Expect(0);
        var (table, damaged) = (_room.Directories.ScopeTable, "{\"version\":1,"u8.ToArray());
        var held = (await _room.RunAsync("scopes", "--json")).Expect(0).Json[0].GetProperty("generation").GetInt64();
        foreach (var point in (string[])[Failpoints.TableAside, Failpoints.TableWrite, Failpoints.TableSync, Failpoints.TableRename, Failpoints.TableDirectorySync, Failpoints.TableRemember])
            foreach (var action in Actions)
            {
                File.Delete(table + ".damaged");
                await File.WriteAllBytesAsync(table, damaged, TestContext.Current.CancellationToken);
                var failed = await FailsAsync($"{point}:{action}", "scopes", "repair");
                if (action != "kill") Assert.Equal(point == Failpoints.TableRemember, failed.Error.Contains("the scope table was changed", StringComparison.Ordinal));
                Assert.NotEqual(0, (await _room.RunAsync("start", "other", "--write", ".")).ExitCode); // What api holds is not given to another, whatever there is.
                (await _room.RunAsync("scopes", "repair")).Expect(0);
                var row = (await _room.RunAsync("scopes", "--json")).Expect(0).Json[0];
                Assert.Equal(("api", "allow", _room.Project), (row.GetProperty("pod").GetString(), row.GetProperty("kind").GetString(), row.GetProperty("path").GetString()));
                Assert.InRange(row.GetProperty("generation").GetInt64(), held, long.MaxValue);
                Assert.Equal(damaged, await File.ReadAllBytesAsync(table + ".damaged", TestContext.Current.CancellationToken));
                Assert.False(File.Exists(table + ".tmp"));
            }
        (await _room.RunAsync("stop", "api")).Expect(0);
        (await _room.RunAsync("start", "other", "--write", ".")).Expect(0);
        (await _room.RunAsync("stop", "other")).Expect(0);
    }

    [Fact, Trait("case", "G01")]
    public async Task A_torn_tail_whose_cut_is_cut_off_is_cut_by_the_next_start_and_reported_once()
    {
        await using var server = await ModelServer.StartAsync();
        await DeadPodAsync(server, "api");
        var journal = JournalOf("api");
        var good = await File.ReadAllBytesAsync(journal, TestContext.Current.CancellationToken);
        foreach (var point in (string[])[Failpoints.JournalCut, Failpoints.JournalSync, Failpoints.JournalAppend])
            foreach (var action in Actions)
            {
                await File.WriteAllBytesAsync(journal, [.. good, .. Torn], TestContext.Current.CancellationToken);
                await FailsAsync($"{point}#1:{action}", "restore", "api");
                (await _room.RunAsync("restore", "api")).Expect(0);
                Assert.Equal(point == Failpoints.JournalCut ? 1 : 0, _room.Journal("api").OfType<Entry.Repaired>().Count());
                Assert.Equal(good, (await File.ReadAllBytesAsync(journal, TestContext.Current.CancellationToken))[..good.Length]);
                (await _room.RunAsync("stop", "api")).Expect(0);
                Assert.Equal("ended", (await _room.PodsAsync())["api"].GetProperty("state").GetString());
            }
    }

    [Fact, Trait("case", "G12")]
    public async Task A_removal_that_is_cut_off_at_any_file_is_ended_by_the_next_and_the_tombstone_says_how_the_Pod_ended()
    {
        await using var server = await ModelServer.StartAsync();
        await DeadPodAsync(server, "api");
        (await _room.RunAsync("stop", "api")).Expect(0);
        var (directory, last) = (DirectoryOf("api"), _room.Journal("api").Count);
        Directory.CreateDirectory(directory + "/sandbox/tmp/deep");
        File.WriteAllText(directory + "/sandbox/tmp/deep/file", "x");
        var template = _room.Root + "/template";
        await CopyAsync(directory, template);
        var files = Directory.GetFileSystemEntries(template, "*", SearchOption.AllDirectories).Length + 1;
        var grave = $"{_room.Directories.State}/tombstones/{Path.GetFileName(directory)}.json";
        foreach (var action in Actions[..2])
            for (var nth = 1; nth <= files; nth++)
            {
                if (!Directory.Exists(directory)) await CopyAsync(template, directory);
                if (File.Exists(grave)) File.Delete(grave);
                await FailsAsync($"{Failpoints.TreeUnlink}#{nth}:{action}", "rm", "api");
                (await _room.RunAsync("ps")).Expect(0);
                var half = File.Exists($"{directory}/{PodFiles.Journal}");
                Assert.Equal(half, (await _room.RunAsync("read", "api")).Out.Contains("Hello from the mock.", StringComparison.Ordinal)); // All of what it said, or nothing is said to be there.
                (await _room.RunAsync("rm", "api")).Expect(0);
                Assert.False(Directory.Exists(directory));
                var tombstone = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(grave)).RootElement;
                Assert.Equal((last, "lost (exit status not observable)"), (tombstone.GetProperty("last_seq").GetInt32(), tombstone.GetProperty("end").GetString()));
            }
    }

    private async Task CopyAsync(string from, string to)
    {
        await using var copy = _room.Start("/bin/cp", ["-a", from, to]);
        copy.EndInput();
        (await copy.EndAsync()).Expect(0);
    }
}
