using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Sandbox;

/// <summary>What git runs when somebody goes on with a rebase or a cherry-pick that a command left in the middle is not planted either.</summary>
[Collection("sandbox")]
public sealed class UnfinishedInBashTests
{
    private const string Stop = "git -c user.name=a -c user.email=a@b -c sequence.editor='sed -i 1s/pick/edit/' rebase -q -i HEAD~2 2>/dev/null";
    private const string Make = "git init -q sub; cd sub; git config user.name a; git config user.email a@b; for i in 1 2 3; do echo $i > f; git add f; git commit -qm $i; done";

    public static MatrixTheoryData<string, bool> Where => new(["kernel", "partial"], [false, true]);

    /// <summary>A repository of three commits: made by a command, or there before and covered by mounts, which level partial refuses.</summary>
    private static async Task<SandboxRoom?> MakeAsync(string level, bool before)
    {
        var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.yoi"]);
        if (before) await room.OnHost(Make);
        else Assert.DoesNotContain("[yoi]", await room.Run(Make), StringComparison.Ordinal);
        if (!before || !await room.IsRefused("may not be written and lies in")) return room;
        await room.DisposeAsync();
        return null;
    }

    [Theory, MemberData(nameof(Where)), Trait("case", "P19")]
    public async Task What_a_rebase_that_a_command_left_would_run_is_taken_out_and_the_rebase_goes_on(string level, bool before)
    {
        await using var room = await MakeAsync(level, before);
        if (room is null) return;
        var outcome = await room.Bash($"cd /; cd {room.W}/sub; {Stop}; printf 'x touch {room.W}/evil\\n \\texec\\ttouch {room.W}/evil\\n' >> .git/rebase-merge/git-rebase-todo; ! grep -q '^pick' .git/rebase-merge/done");

        Assert.Contains("for which git on the host would run something", outcome.Content, StringComparison.Ordinal);
        Assert.Contains($"touch {room.W}/evil", await room.OnHost("cat .yoi/quarantine/*-git-rebase-todo"), StringComparison.Ordinal);
        await room.OnHost("cd sub; git rebase --continue 2>&1; [ ! -d .git/rebase-merge ]");
        Assert.False(File.Exists(room.W + "/evil"));
        Assert.Equal("3\n2\n1\n", await room.OnHost("git -C sub log --format=%s"));
    }

    [Theory, MemberData(nameof(Where)), Trait("case", "P19")]
    public async Task A_rebase_in_the_middle_that_runs_nothing_stays_as_it_is(string level, bool before)
    {
        await using var room = await MakeAsync(level, before);
        if (room is null) return;
        Assert.DoesNotContain("[yoi]", (await room.Bash($"cd {room.W}/sub; {Stop}; true")).Content ?? "", StringComparison.Ordinal);
        Assert.DoesNotContain("[yoi]", await room.Run($"cd {room.W}/sub; git rebase --continue 2>/dev/null; git rebase -q -s ort HEAD~1; git cherry-pick --allow-empty -X ours HEAD 2>/dev/null; true"), StringComparison.Ordinal);
        Assert.Equal("3\n2\n1\n", await room.OnHost("git -C sub log --format=%s -3"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19")]
    public async Task Strategies_that_are_programs_and_what_is_no_file_are_taken_out_too(string level)
    {
        await using var room = (await MakeAsync(level, before: false))!;
        foreach (var (plant, kept) in new[]
        {
            ("mkdir .git/rebase-merge; echo x/../../evil > .git/rebase-merge/strategy", "strategy"),
            ("mkdir .git/sequencer; printf '[options]\\n\\tstrategy = x/../../evil\\n\\tedit = false\\n' > .git/sequencer/opts", "opts"),
            ("rm -r .git/rebase-merge; mkdir other; echo exec evil > other/git-rebase-todo; ln -s ../other .git/rebase-merge", "rebase-merge"),
        })
        {
            var outcome = await room.Bash($"cd {room.W}/sub; {plant}");
            Assert.Contains(".yoi/quarantine", outcome.Content, StringComparison.Ordinal);
            await room.OnHost($"test -e .yoi/quarantine/*-{kept} -o -L .yoi/quarantine/*-{kept}");
            Assert.Empty(await room.OnHost("grep -rs evil sub/.git || [ $? = 1 ]"));
            if (level == "partial") await room.OnHost("mv .yoi kept-$RANDOM"); // It would be a hole from here on.
        }
    }

    [Theory, InlineData("rebase-merge/git-rebase-todo"), InlineData("rebase-merge/strategy"), InlineData("sequencer/opts")]
    public async Task File_tools_write_none_of_it(string name)
    {
        await using var room = await SandboxRoom.MakeAsync();
        await room.OnHost(Make + "; mkdir -p .git/rebase-merge");
        using var files = new ScopedFiles(room.Scope, room.W);
        ReadOnlyMemory<byte> text = "exec evil\n"u8.ToArray();
        var refused = await Assert.ThrowsAsync<PathException>(() => files.WriteAsync($"sub/.git/{name}", _ => text, SandboxRoom.Ct));
        Assert.Contains("git on the host would run what is there", refused.Message, StringComparison.Ordinal);
        await files.WriteAsync("sub/.git/rebase-merge/message", _ => text, SandboxRoom.Ct);
    }

    [Theory]
    [InlineData("rebase-merge/git-rebase-todo", "pick 1 exec\n# exec a\nexecute\n", 0)]
    [InlineData("rebase-merge/git-rebase-todo", "x a\n  exec\tb\nexec\rc\nx\npick 2", 4)]
    [InlineData("rebase-merge/strategy", "ort\n", 0)]
    [InlineData("rebase-merge/strategy", "ort\n/../evil", 1)]
    [InlineData("sequencer/opts", "[options]\n\tsignoff = true\n\tstrategy = ours\n\tstrategy-option = theirs\n", 0)]
    [InlineData("sequencer/opts", "[options] strategy = evil\n", 1)]
    [InlineData("sequencer/opts", "[options]\n\tStrategy = \"evil\"\nedit = a\\\n", 2)]
    public void What_runs_something_is_told_apart_by_the_letter(string name, string text, int left) => Assert.Equal(left, GitUnfinished.Inert(name, text).Left.Count);
}
