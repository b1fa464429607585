using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>Real Pods on disks that are full, broken, read-only or stalled.</summary>
public sealed class DiskFaultTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static string Write(string path, int bytes) => $$"""CALL Write {"file_path":"{{path}}","content":"{{new string('x', bytes)}}"}""";

    private static async Task<PodStatus> RestAsync(PodClient client)
    {
        while (true)
        {
            var status = await client.StatusAsync(Ct);
            if (status.State != PodState.Running) return status;
            await Task.Yield();
        }
    }

    // What must hold of a journal whatever happened to its disk.
    private static IReadOnlyList<JournalRecord> Sound(string journal, IReadOnlyCollection<long> accepted, PodStatus status)
    {
        var records = new JournalReader(journal).ReadAfter(Cursor.Start, out var health);
        Assert.Equal(JournalHealth.Good, health);
        Assert.Equal(Enumerable.Range(1, records.Count).Select(seq => (long)seq), records.Select(record => record.Seq));
        Assert.All(accepted, seq => Assert.IsType<Entry.Input>(records[(int)seq - 1].Entry));
        Assert.Equal((records[^1].Seq, records.Count(record => record.Entry is Entry.TurnStart)), (status.HeadSeq, status.Totals.Turns)); // Memory says what the file says.
        return records;
    }

    [Fact, Trait("case", "G03"), Trait("case", "G04")]
    public async Task A_full_disk_ends_the_run_before_the_next_tool_and_work_goes_on_once_there_is_space()
    {
        Needs.Namespaces();
        using var root = new SpawningRoot();
        var (document, launched) = await OnSmallDiskAsync(root, "512k");
        using var process = launched.Process;
        try
        {
            var inside = $"/proc/{launched.Pid}/root{document.Directories.State}";
            var journal = $"/proc/{launched.Pid}/root{document.Directories.Pod("lead", document.PodId)}/{PodFiles.Journal}";
            await using var client = await PodClient.ConnectAsync(launched.Socket, ct: Ct);
            List<long> accepted = [];
            int refused = 0, cut = 0;
            for (var pages = 0; pages < 8; pages++)
            {
                Fill(inside + "/filler", pages);
                var file = $"{root.Work}/file{pages}";
                try
                {
                    // The input and the call that answers it are longer than a page each: with two or three pages left the one fits and the other does not.
                    accepted.Add((await client.RunAsync(Write(file, 6_000), ct: Ct)).Seq);
                }
                catch (PodRefusedException e)
                {
                    Assert.Equal(ErrorCode.DiskError, e.Error.Code);
                    refused++;
                }
                var status = await RestAsync(client);
                var records = Sound(journal, accepted, status);
                var calls = records.Select(record => record.Entry).OfType<Entry.Assistant>().SelectMany(message => message.Blocks).OfType<AssistantBlock.ToolCall>();
                if (File.Exists(file)) Assert.Contains(calls, call => call.Arguments.Contains(file, StringComparison.Ordinal)); // Nothing ran that was not written down.

                File.Delete(inside + "/filler");
                accepted.Add((await client.RunAsync("hello", ct: Ct)).Seq);
                status = await RestAsync(client);
                Assert.Null(status.WaitingFor);
                var entries = Sound(journal, accepted, status).Select(record => record.Entry).ToList();
                Assert.Equal(RunEnd.Completed, entries.OfType<Entry.RunEnded>().Last().Reason);
                Assert.Equal(entries.OfType<Entry.RunStart>().Select(run => run.Run), entries.OfType<Entry.RunEnded>().Select(run => run.Run)); // Each run ended once.
                Assert.All(entries.OfType<Entry.RunEnded>(), run => Assert.True(run.Reason is RunEnd.Completed or RunEnd.DiskError));
                cut = entries.OfType<Entry.RunEnded>().Count(run => run.Reason == RunEnd.DiskError);
            }
            Assert.True(refused > 0 && cut > 0, $"{refused} refused, {cut} cut off: the disk was never full");
        }
        finally
        {
            process.Signal(Libc.SigKill);
            await process.Exited.WaitAsync(Patience, CancellationToken.None);
        }
    }

    private static async Task<(LaunchDocument Document, LaunchedPod Launched)> OnSmallDiskAsync(SpawningRoot root, string size, string level = "tools-only")
    {
        var document = root.Document("lead");
        document = document with { RootId = document.PodId, SandboxLevel = level };
        var mount = $"mount -t tmpfs -o size={size},mode=700 small '{document.Directories.State}' && exec '{RealPod.Yoi}' serve";
        return (document, await PodLauncher.StartAsync(
            new PodProgram("/usr/bin/unshare", ["unshare", "-rm", "/bin/sh", "-c", mount]), document, new LaunchSecrets(null, null), Patience, TimeProvider.System, Ct));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "G12"), Trait("case", "S18")]
    public async Task A_command_whose_output_fills_the_disk_is_ended_and_leaves_the_space_to_say_so(string level)
    {
        if (level == "kernel" && !File.Exists("/usr/bin/bwrap")) Assert.Skip("needs bubblewrap");
        if (level == "kernel" && Environment.UserName != "root") Assert.Skip("in a namespace of an ordinary user's bubblewrap is not root's, and is not taken");
        Needs.Namespaces();
        using var root = new SpawningRoot();
        var (document, launched) = await OnSmallDiskAsync(root, "4m", level);
        using var process = launched.Process;
        try
        {
            var journal = $"/proc/{launched.Pid}/root{document.Directories.Pod("lead", document.PodId)}/{PodFiles.Journal}";
            await using var client = await PodClient.ConnectAsync(launched.Socket, ct: Ct);
            List<long> accepted = [(await client.RunAsync("""CALL Bash {"command":"head -c 20000000 /dev/zero | tr '\\0' x"}""", ct: Ct)).Seq];
            await RestAsync(client);
            accepted.Add((await client.RunAsync("""CALL Bash {"command":"echo again"}""", ct: Ct)).Seq);
            var entries = Sound(journal, accepted, await RestAsync(client)).Select(record => record.Entry).ToList();
            Assert.Equal(["disk_error", "exited"], entries.OfType<Entry.CommandEnded>().Select(end => end.Why));
            var results = entries.OfType<Entry.ToolResult>().ToList();
            Assert.Contains("could not be kept", results[0].Summary, StringComparison.Ordinal);
            Assert.Equal("again", results[1].Content);
            Assert.All(entries.OfType<Entry.RunEnded>(), run => Assert.Equal(RunEnd.Completed, run.Reason));
        }
        finally
        {
            process.Signal(Libc.SigKill);
            await process.Exited.WaitAsync(Patience, CancellationToken.None);
        }
    }

    [Theory, InlineData(false), InlineData(true), Trait("case", "G03")]
    public async Task What_a_command_left_is_told_before_the_end_of_its_Pod_which_is_in_order_also_if_that_cannot_be_settled(bool cannot)
    {
        await using var pod = await RealPod.StartAsync();
        await using var client = await pod.ClientAsync();
        var mark = CommandMarks.Put(pod.Directory, new(1, "1", "another boot", 1), "nothing that can be read");
        mark.Tell("something was found");
        if (cannot) File.SetUnixFileMode(mark.Path, UnixFileMode.UserRead);

        await client.AskAsync(new Method.Shutdown(), Ct);

        Assert.Equal(0, (await pod.ExitAsync()).Code);
        var entries = pod.Records().Select(record => record.Entry).ToList();
        Assert.Equal((PodEnd.Stopped, "test"), Assert.IsType<Entry.PodEnded>(entries[^1]) is var end ? (end.Reason, end.By) : default);
        Assert.Equal(!cannot, entries.OfType<Entry.Notification>().Any(entry => entry.Message == "something was found"));
        Assert.Equal(cannot, File.Exists(mark.Path)); // For whoever has the scope next.
    }

    // A disk on which so many pages are free.
    private static void Fill(string filler, int pages)
    {
        using var file = File.OpenHandle(filler, FileMode.Create, FileAccess.Write);
        var page = new byte[4096];
        long length = 0;
        try
        {
            for (; ; length += page.Length) RandomAccess.Write(file, page, length);
        }
        catch (IOException)
        {
            RandomAccess.SetLength(file, Math.Max(0, length - (pages * page.Length)));
        }
    }

    [Fact, Trait("case", "G04")]
    public async Task After_a_sync_that_failed_a_Pod_answers_and_takes_nothing_until_it_is_started_again()
    {
        Needs.Tracing();
        await using var pod = await RealPod.StartAsync();
        await using var client = await pod.ClientAsync();
        await client.RunAsync("hello", ct: Ct);
        await RestAsync(client);
        var before = pod.Records();
        await using (await Strace.AttachAsync(pod.Process.Pid, "fdatasync:error=EIO"))
            Assert.Equal(ErrorCode.DiskError, (await Assert.ThrowsAsync<PodRefusedException>(() => client.RunAsync("lost", ct: Ct))).Error.Code);
        var refusal = await Assert.ThrowsAsync<PodRefusedException>(() => client.RunAsync("refused", ct: Ct)); // The disk is well again, what it holds is not known.
        Assert.Equal(ErrorCode.DiskError, refusal.Error.Code);
        Assert.Contains("until this Pod is restarted", refusal.Error.Message, StringComparison.Ordinal);
        Assert.Equal(PodState.Idle, (await client.StatusAsync(Ct)).State);
        Assert.Equal(before.Select(record => record.Crc), pod.Records().Select(record => record.Crc));

        pod.Process.Signal(Libc.SigKill);
        await pod.ExitAsync();
        var again = await RealPod.LaunchAsync(pod.Document);
        using var process = again.Process;
        await using var second = await PodClient.ConnectAsync(again.Socket, ct: Ct);
        var seq = (await second.RunAsync("kept", ct: Ct)).Seq;
        var status = await RestAsync(second);
        Assert.Equal(RunEnd.Completed, Sound($"{pod.Directory}/{PodFiles.Journal}", [seq], status).Select(record => record.Entry).OfType<Entry.RunEnded>().Last().Reason);
    }

    [Theory, Trait("case", "G03")]
    [InlineData("EDQUOT")]
    [InlineData("EROFS")]
    public async Task Over_quota_or_read_only_nothing_is_accepted_and_afterwards_work_goes_on(string error)
    {
        Needs.Tracing();
        await using var pod = await RealPod.StartAsync();
        await using var client = await pod.ClientAsync();
        var journal = $"{pod.Directory}/{PodFiles.Journal}";
        await using (await Strace.AttachAsync(pod.Process.Pid, "write:error=" + error, only: journal))
        {
            for (var i = 0; i < 3; i++)
                Assert.Equal(ErrorCode.DiskError, (await Assert.ThrowsAsync<PodRefusedException>(() => client.RunAsync("lost", ct: Ct))).Error.Code);
            Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.Input);
        }
        var seq = (await client.RunAsync("kept", ct: Ct)).Seq;
        var status = await RestAsync(client);
        Assert.Equal("kept", Sound(journal, [seq], status).Select(record => record.Entry).OfType<Entry.Input>().Single().Text);
    }

    [Fact, Trait("case", "T38")]
    public async Task On_a_stalled_disk_status_cancel_and_ListPods_answer_and_nothing_is_acknowledged_early()
    {
        Needs.Tracing();
        await using var room = new PodRoom();
        var root = await room.Root();
        Assert.False((await root.Spawn("kid")).IsError);
        await root.Until(entry => entry is Entry.News);
        await using var kid = await root.ConnectTo("kid");
        var child = root.Child("kid");
        using var process = child.FindProcess()!;
        Task<ReplyResult.Accepted> accepting;
        await using (await Strace.AttachAsync(process.Pid, "fdatasync:delay_enter=20000000"))
        {
            accepting = kid.RunAsync("hello again", ct: Ct);
            await Eventually.Holds(() => child.Journal.ReadAfter(Cursor.Start, out _).Any(record => record.Entry is Entry.Input { Text: "hello again" }));
            await using var asks = await root.ConnectTo("kid");
            Assert.Equal("kid", (await asks.StatusAsync(Ct)).Name);
            await asks.CancelAsync(Ct);
            Assert.Contains("kid [alive]", (await root.Call("ListPods")).Content, StringComparison.Ordinal);
            Assert.False(accepting.IsCompleted);
            Assert.DoesNotContain(child.SyncedJournal.ReadAfter(Cursor.Start, out _), record => record.Entry is Entry.Input { Text: "hello again" });
        }
        var seq = (await accepting).Seq;
        Assert.Contains(child.Journal.ReadAfter(Cursor.Start, out _), record => record.Seq == seq && record.Entry is Entry.Input { Text: "hello again" });
        var end = (await root.Call("StopPod", """{"name":"kid"}"""));
        Assert.False(end.IsError, end.Summary);
    }

    [Fact, Trait("case", "G10")]
    public async Task A_Pod_that_was_started_on_a_damaged_journal_says_where_and_works_on()
    {
        await using var pod = await RealPod.StartAsync();
        await using (var client = await pod.ClientAsync())
        {
            Assert.Null((await client.StatusAsync(Ct)).Damaged);
            await client.RunAsync("hello", ct: Ct);
            await RestAsync(client);
        }
        pod.Process.Signal(Libc.SigKill);
        await pod.ExitAsync();
        var journal = $"{pod.Directory}/{PodFiles.Journal}";
        var said = pod.Records().First(record => record.Entry is Entry.Assistant);
        using (var file = File.OpenHandle(journal, FileMode.Open, FileAccess.Write)) RandomAccess.Write(file, "?"u8, said.Offset + 60);
        var again = await RealPod.LaunchAsync(pod.Document);
        using var process = again.Process;
        await using var second = await PodClient.ConnectAsync(again.Socket, ct: Ct);
        Assert.StartsWith($"journal.jsonl line {said.Seq} (byte {said.Offset})", (await second.StatusAsync(Ct)).Damaged, StringComparison.Ordinal);
        var seq = (await second.RunAsync("hello again", ct: Ct)).Seq;
        await RestAsync(second);
        Assert.Equal(RunEnd.Completed, pod.Records().Last(record => record.Entry is Entry.RunEnded).Entry is Entry.RunEnded end ? end.Reason : default);
        Assert.Contains(pod.Records(), record => record.Seq == seq);
    }
}
