using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>Small files of a Pod's own: written whole, through no link, bounded.</summary>
public sealed class PrivateFilesTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("yoi-private-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact, Trait("case", "K04")]
    public void A_secret_replaces_a_link_and_never_follows_it()
    {
        var (secret, elsewhere) = (_root + "/a.token", _root + "/elsewhere");
        File.WriteAllText(elsewhere, "untouched");
        File.CreateSymbolicLink(secret, elsewhere);
        File.CreateSymbolicLink(secret + ".new", elsewhere);
        PrivateDirectories.WriteSecret(secret, "s3cret");
        Assert.Equal(("untouched", "s3cret"), (File.ReadAllText(elsewhere), File.ReadAllText(secret)));
        Assert.Null(new FileInfo(secret).LinkTarget);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret));
        PrivateDirectories.WriteSecret(secret, "another");
        Assert.Equal("another", File.ReadAllText(secret));
        Assert.Equal(["a.token", "elsewhere"], Directory.GetFiles(_root).Select(Path.GetFileName).Order());
    }

    [Fact, Trait("case", "G12")]
    public void What_a_Pod_says_on_stderr_never_grows_without_bound()
    {
        var path = _root + "/" + PodFiles.Stderr;
        using var file = PrivateFile.OpenToWrite(path, OpenFlags.Append);
        using var log = new StderrLog(file);
        for (var i = 0; i < 20_000; i++) log.WriteLine($"yoi: something is wrong, for the time number {i} — ümläut");
        Assert.InRange(new FileInfo(path).Length, 1, StderrLog.MaxBytes + 1024);
        var text = File.ReadAllText(path);
        Assert.StartsWith("[begun anew: it was large]\n", text, StringComparison.Ordinal);
        Assert.EndsWith("number 19999 — ümläut\n", text, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "G12")]
    public void A_journal_that_has_reached_its_limit_takes_no_more_work_and_still_tells_how_it_ends()
    {
        var path = _root + "/" + PodFiles.Journal;
        using var appender = new JournalAppender(path, new JournalFile(path), TimeProvider.System, 0, most: 3_000);
        var taken = 0;
        void Fill()
        {
            for (; taken < 10; taken++) appender.Append([new Entry.Input(new string('x', 900))]);
        }
        var refusal = Assert.Throws<JournalException>(Fill);
        Assert.Equal(3, taken);
        Assert.Contains("start a new Pod", refusal.Message, StringComparison.Ordinal);
        Assert.Throws<JournalException>(() => appender.Append([new Entry.TurnStart(0)]));
        Assert.Equal(4, appender.Append([new Entry.RunEnded(0, RunEnd.DiskError, null, refusal.Message, 0)])[0].Seq);
    }

    [Fact, Trait("case", "G12")]
    public void Of_the_outputs_of_commands_the_oldest_go_first()
    {
        var places = PrivatePlaces.Of(_root, "kernel");
        places.KeepOutputsBelow(1, []); // There are none yet.
        Directory.CreateDirectory(places.Output);
        for (var i = 0; i < 5; i++)
        {
            File.WriteAllText($"{places.Output}/{i}.log", new string('x', 1_000));
            File.SetLastWriteTimeUtc($"{places.Output}/{i}.log", new DateTime(2026, 1, 1, 0, 0, i, DateTimeKind.Utc));
        }
        places.KeepOutputsBelow(2_500, [$"{places.Output}/0.log"]);
        Assert.Equal(["0.log", "3.log", "4.log"], Directory.GetFiles(places.Output).Select(Path.GetFileName).Order()); // The first is being written.
        places.KeepOutputsBelow(2_500, []);
        Assert.Equal(["3.log", "4.log"], Directory.GetFiles(places.Output).Select(Path.GetFileName).Order());
    }

    [Fact, Trait("case", "G12")]
    public async Task An_output_that_another_command_takes_back_meanwhile_keeps_none_from_being_begun()
    {
        var places = PrivatePlaces.Of(_root, "kernel");
        Directory.CreateDirectory(places.Output);
        using var enough = new CancellationTokenSource();
        var others = Task.Run(() =>
        {
            var outputs = Enumerable.Range(0, 50).Select(i => $"{places.Output}/{i}.log").ToList();
            while (!enough.IsCancellationRequested)
            {
                foreach (var output in outputs) File.WriteAllText(output, "x");
                foreach (var output in outputs) File.Delete(output);
            }
        }, TestContext.Current.CancellationToken);
        for (var i = 0; i < 5_000; i++) places.KeepOutputsBelow(100, []);
        await enough.CancelAsync();
        await others;
    }

    [Fact]
    public void The_private_places_that_were_cut_off_half_way_are_made_whole_and_whole_ones_are_kept()
    {
        var home = Directory.CreateDirectory(_root + "/user").FullName;
        Directory.CreateDirectory(home + "/.cache/pip");
        Directory.CreateDirectory(home + "/.rustup/toolchains");
        File.WriteAllText(home + "/.gitconfig", "[user]\n\tname = Yoi\n");
        var platform = PlatformSet.Find(home, "/usr/bin:/bin", network: false);
        File.SetUnixFileMode(home + "/.cache/pip", UnixFileMode.None); // Not to be listed, but by root.
        var places = PrivatePlaces.Of(_root + "/pod", "kernel");
        Directory.CreateDirectory(places.Home + "/.rustup"); // As far as it came.

        PrivatePlaces.Make(_root + "/pod", "kernel", platform, home);

        Assert.Contains("name = Yoi", File.ReadAllText(places.Home + "/.gitconfig"), StringComparison.Ordinal);
        Assert.Equal(home + "/.rustup/toolchains", new DirectoryInfo(places.Home + "/.rustup/toolchains").LinkTarget);
        Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(places.MaskFile));
        Assert.True(Directory.Exists(places.Temp) && Directory.Exists(places.Output));
        File.WriteAllText(places.Home + "/mine", "");
        PrivatePlaces.Make(_root + "/pod", "kernel", platform, home);
        Assert.True(File.Exists(places.Home + "/mine"));
        File.SetUnixFileMode(home + "/.cache/pip", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
