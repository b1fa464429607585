using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Sandbox;

/// <summary>What is masked and replaced by somebody outside while a command runs.</summary>
[Collection("sandbox")]
public sealed class ReplacedFromOutsideTests
{
    [Theory, Trait("case", "T40")]
    [InlineData("kernel", "git config core.editor x", ".git/config")]
    [InlineData("kernel", "echo new > .env2; mv .env2 .env", ".env")]
    [InlineData("kernel", "cp .env .env~; rm .env; cat .env~ > .env", ".env")]
    [InlineData("kernel", "mv a/b a/other; mkdir -p a/b/secret", "a/b/secret")]
    [InlineData("kernel", "mv a other", "a/b/secret")]
    [InlineData("kernel", "rm -r .git/hooks; mkdir .git/hooks", ".git/hooks")]
    [InlineData("kernel", "mv $PWD $PWD.other", "a/b/secret")]
    [InlineData("partial", "", "")]
    public async Task A_command_is_ended_at_once_when_the_host_replaces_what_is_masked(string level, string replace, string path)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-read:/W/a/b/secret", "-read:/W/.env", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi"], scene: root =>
        {
            ScopeInBashTests.Secrets(root);
            foreach (var name in new[] { "objects", "refs" }) Directory.CreateDirectory($"{root}/W/.git/{name}");
            File.WriteAllText(root + "/W/.git/HEAD", "ref: refs/heads/main\n");
        });
        if (await room.IsRefused("may not be read and lies in")) return; // Nothing is ever masked.
        // It writes wherever it can from the moment on when nothing lies there any more.
        var lines = "chmod 600 f; while :; do for f in .git/config .git/hooks/evil .env a/b/secret/evil; do { echo /evil > $f; } 2>/dev/null; done; done";
        await room.Bash("touch back; " + lines, ("run_in_background", true), ("name", "back"));
        var front = room.Bash("touch front; " + lines, ("timeout", 60_000));
        await Eventually.Holds(() => File.Exists(room.W + "/back") && File.Exists(room.W + "/front"));
        await room.OnHost("touch .env a/b/secret && chmod 700 .git/hooks && cat .env > /dev/null");
        Assert.False(room.Shell.Named("back").Ended.IsCompleted);

        await room.OnHost(replace);
        var (outcome, end) = (await front, await room.Shell.Named("back").Ended.WaitAsync(TimeSpan.FromMinutes(1), SandboxRoom.Ct));
        Assert.Equal("replaced", end.Why);
        Assert.Contains("from outside", outcome.Summary, StringComparison.Ordinal);
        foreach (var told in new[] { outcome.Content!, string.Concat(end.Found) }) Assert.Contains($"W/{path} was re", told, StringComparison.Ordinal);
        Assert.Equal(2, room.Entries.OfType<Entry.CommandEnded>().Count(entry => entry.Why == "replaced"));
        // Nothing lies there unreported: what was written since is in the quarantine, what is left was told.
        if (Directory.Exists(room.W + ".other")) Directory.Move(room.W + ".other", room.W);
        if (Directory.Exists(room.W + "/a/b/secret")) Assert.False(File.Exists(room.W + "/a/b/secret/evil") && !string.Concat(end.Found).Contains("a/b/secret", StringComparison.Ordinal));
    }

    [Fact, Trait("case", "T40")]
    public async Task What_is_written_after_a_replacement_was_noticed_is_taken_for_the_command_s()
    {
        await using var room = await SandboxRoom.MakeAsync(["write:/W", "-read:/W/a/b/secret", "-write:/W/.git/config", "-write:/W/.yoi"], scene: ScopeInBashTests.Secrets);
        var mark = CommandMarks.Put(room.PodDirectory, new(1, "1", "another", 1), "about");
        var names = DeniedNames.Look("1", room.Scope.Current(), new HashSet<string> { room.W + "/a/b/secret", room.W + "/.git/config" }, [], WritablePart.None, []);
        Assert.Null(names.Replaced());
        File.Move(room.W + "/.git/config", room.W + "/.git/old");
        File.WriteAllText(room.W + "/.git/config", "[core]\n\tbare = false\n");
        Directory.Move(room.W + "/a", room.W + "/other");
        var noticed = names.Replaced();
        Assert.Equal(2, names.Check(mark, new RepositoryIndex(TimeProvider.System), noticed).Found.Count);
        Assert.False(Directory.Exists(room.W + "/.yoi")); // Nobody wrote since: it is told, and left.

        File.AppendAllText(room.W + "/.git/config", "\tfsmonitor = /evil\n");
        Directory.CreateDirectory(room.W + "/a/b/secret");
        var found = string.Concat(names.Check(mark, new RepositoryIndex(TimeProvider.System), noticed).Found);
        foreach (var said in new[] { "fsmonitor", "a/b/secret may not be written" }) Assert.Contains(said, found, StringComparison.Ordinal);
        Assert.False(Directory.Exists(room.W + "/a/b/secret"));
        Assert.Equal("[core]\n\tbare = false\n\n", await File.ReadAllTextAsync(room.W + "/.git/config", SandboxRoom.Ct));
        mark.Remove();
    }
}
