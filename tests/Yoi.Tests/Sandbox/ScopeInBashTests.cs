using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Sandbox;

/// <summary>The scope holds for commands: each denial with the same thing allowed beside it.</summary>
[Collection("sandbox")]
public sealed class ScopeInBashTests
{
    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_scope_in_dev_shm_is_held_as_one_elsewhere(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var (shared, inside) = ($"/dev/shm/yoi-{Guid.NewGuid():n}", "");
        try
        {
            inside = Directory.CreateDirectory(shared + "/in").FullName;
            File.WriteAllText(shared + "/beside", "canary");
            var order = room.Order($"cd {inside} && echo x > f && cat f; cat ../beside; echo y > ../beside", new ScopePolicy(new([new(inside, Permission.Write)], []), [], 0), inside);

            await using var command = await room.Launcher.StartAsync(order, SandboxRoom.Ct);
            command.Go();
            await command.Ended;

            Assert.StartsWith("x\ncat: ../beside:", command.Output.Text(0, 4096), StringComparison.Ordinal);
            Assert.Equal(("x\n", "canary"), (File.ReadAllText(inside + "/f"), File.ReadAllText(shared + "/beside")));
        }
        finally
        {
            Directory.Delete(shared, recursive: true);
        }
    }

    [Theory, InlineData("/"), InlineData("/proc"), InlineData("/proc/sys/kernel"), InlineData("/dev"), InlineData("/sys")]
    public async Task What_no_view_can_hold_is_refused_with_a_reason_before_anything_is_started(string path)
    {
        await using var room = await SandboxRoom.MakeAsync("kernel");
        var order = room.Order("true", new ScopePolicy(new([new(path, Permission.Read), new(room.W, Permission.Write)], []), [], 0));

        var refused = await Assert.ThrowsAsync<SandboxException>(() => room.Launcher.StartAsync(order, SandboxRoom.Ct));

        Assert.Contains($"holds {path} itself", refused.Message, StringComparison.Ordinal);
    }

    private static readonly string[] Levels = ["kernel", "partial"];

    internal static void Secrets(string root)
    {
        Directory.CreateDirectory(root + "/W/a/b/secret");
        Directory.CreateDirectory(root + "/W/.git/hooks");
        File.WriteAllText(root + "/W/a/b/secret/key", "canary");
        File.WriteAllText(root + "/W/a/b/note", "note");
        File.WriteAllText(root + "/W/.env", "canary");
        File.WriteAllText(root + "/W/.git/config", "[core]\n\tbare = false\n");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S01")]
    public async Task Nothing_outside_is_written_by_any_program(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        string[] ways =
        [
            "echo x > @/f", "echo x | tee @/f", "sed -i s/o/x/ @/f", "perl -e 'open(F,\">\",\"@/f\") or die; print F 1; close F or die'",
            "/usr/bin/python3 -c 'open(\"@/f\",\"w\").write(\"x\")'", "cp f @/f", "dd if=f of=@/f", "install f @/f", "truncate -s 1 @/f", "mv f @/moved; test -e @/moved",
            "ln f @/hard", "ln -s /x @/soft", "mkdir @/made", "rm @/f", "rmdir @/d", "mknod @/p p", "touch @/f", "touch @/new", "chmod 777 @/f", "chown 1 @/f",
            "/usr/bin/python3 -c 'import os; fd=os.open(\"@\", os.O_TMPFILE|os.O_RDWR); os.link(f\"/proc/self/fd/{fd}\", \"@/linked\", src_dir_fd=os.open(\".\", 0))'",
            "/usr/bin/python3 -c 'import mmap,os; fd=os.open(\"@/f\", os.O_RDWR); m=mmap.mmap(fd,4); m[0]=65'", "tar -C @ -xf W.tar",
        ];
        await room.Run("tar -cf W.tar f");
        // Without mounts, modes and times outside are the limit that the page names.
        foreach (var way in ways.Where(way => level == "kernel" || way is not ("touch @/f" or "chmod 777 @/f")))
        {
            await room.Run("mkdir -p own/d; cp f own/f");
            if (!way.Contains("own ", StringComparison.Ordinal) && !way.StartsWith("chown", StringComparison.Ordinal)) await room.Run(way.Replace("@", room.W + "/own", StringComparison.Ordinal));
            await room.Run("rm -rf own; [ -e f ] || echo inside > f");
            await room.Fails(way.Replace("@", room.O, StringComparison.Ordinal));
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S03")]
    public async Task However_a_command_is_written_the_kernel_decides(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        string Plain(string to) => $"echo x > {to}/v";
        foreach (var to in new[] { room.W, room.O })
        {
            string[] ways =
            [
                Plain(to), string.Concat(Enumerable.Repeat("true && ", 500)) + Plain(to), $"echo {Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(Plain(to)))} | base64 -d | sh",
                $"$'\\x65cho' x > {to}/v", $"bash <<'E'\n{Plain(to)}\nE", $"alias z='echo x'; shopt -s expand_aliases\neval \"z > {to}/v\"", $"eval eval eval '{Plain(to)}'",
                $"f() {{ {Plain(to)}; }}; f", $"env -i /bin/sh -c '{Plain(to)}'", $"exec 9> {to}/v; echo x >&9",
            ];
            foreach (var way in ways)
            {
                if (to == room.O) await room.Fails(way);
                else
                {
                    await room.Run(way);
                    Assert.Equal("x\n", await File.ReadAllTextAsync(to + "/v", SandboxRoom.Ct));
                    File.Delete(to + "/v");
                }
            }
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task What_is_neither_in_the_scope_nor_in_the_platform_set_does_not_exist(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        Assert.Contains("bash", await room.Run("ls /usr/bin"), StringComparison.Ordinal);
        foreach (var path in new[] { room.O, room.Home, room.Root + "/yoi", "/etc/shadow", "/etc/sudoers", "/root", "/home", "/var/log", "/sys/kernel", "/mnt", "/proc/1/root/etc/shadow" })
            Assert.Contains(level == "kernel" ? "No such file" : "cannot", await room.Fails(Look(path)), StringComparison.Ordinal);
        if (level == "kernel") Assert.Equal("W", await room.Run($"ls {room.Root}"));
        else await room.Fails($"ls {room.Root}");

        // Without mounts a name can be seen, and neither opened nor listed.
        string Look(string path) => level == "partial" && path is "/etc/shadow" or "/etc/sudoers" ? $"cat {path} || {{ echo cannot; false; }}" : $"ls {path}";
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P08")]
    public async Task Links_and_moves_do_not_carry_files_across_the_border(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "read:/O"]);
        Assert.Equal("outside and secret", await room.Run($"cat {room.O}/f"));
        await room.Run("mkdir d && ln f d/hard && mv d/hard d/moved && mv d/moved back && rm back");
        await room.Fails($"ln {room.O}/f stolen");
        await room.Fails($"mv {room.O}/f stolen");
        await room.Fails($"mv f {room.O}/planted");
        await room.Fails($"ln f {room.O}/planted");
        await room.Run($"ln -s {room.O}/f soft");
        await room.Fails("echo x > soft");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P18"), Trait("case", "P22")]
    public async Task A_hole_in_the_scope_stays_one_whatever_is_renamed_around_it(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-read:/W/a/b/secret", "-read:/W/.env", "-write:/W/.git/hooks", "-write:/W/.git/config"], scene: Secrets);
        if (await room.IsRefused("/W/.env may not be read and lies in")) return;
        for (var round = 0; round < 2; round++)
        {
            await room.Run($"echo x > a/new{round}; echo x > a/b/new{round}; echo x > .git/new{round}; mkdir a/dir{round}; mv a/b/new{round} a/b/moved{round}; cat a/b/note .git/config > /dev/null");
            foreach (var way in new[]
            {
                "cat a/b/secret/key", "ls a/b/secret", "echo x > a/b/secret/new", "cat .env", "echo x > .env", "echo x > .git/hooks/pre-commit", "echo x >> .git/config",
                "mv a a2", "mv a/b a/b2", "mv a/b/secret a/b/s2", "mv .git .git2", "mv .git/hooks .git/h2", "rm -rf a/b/secret", "rm -f .env", "mv .env .env2", "rm .git/config",
                "/usr/bin/python3 -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); import sys; sys.exit(0 if l.renameat2(-100, b\"a\", -100, b\"other\", 2)==0 else 1)'",
            })
            {
                await room.Run("mkdir -p other");
                await room.Fails(way);
            }
        }
        Assert.Equal("canary", await File.ReadAllTextAsync(room.W + "/a/b/secret/key", SandboxRoom.Ct));
        Assert.Equal("canary", await File.ReadAllTextAsync(room.W + "/.env", SandboxRoom.Ct));
        Assert.Empty(Directory.EnumerateFileSystemEntries(room.W + "/.git/hooks"));
        Assert.Equal("[core]\n\tbare = false\n", await File.ReadAllTextAsync(room.W + "/.git/config", SandboxRoom.Ct));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P20")]
    public async Task A_rule_that_is_not_recursive_shows_the_direct_files_and_nothing_below(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["read:/W [non-recursive]", "write:/R"], scene: root =>
        {
            Directory.CreateDirectory(root + "/W/sub");
            Directory.CreateDirectory(root + "/R");
            File.WriteAllText(root + "/W/sub/f", "canary");
        });
        if (await room.IsRefused("without what lies deeper")) return;
        Assert.Equal("inside", await room.Run("cat f"));
        await room.Run($"echo x > {room.Root}/R/f");
        await room.Fails("cat sub/f");
        await room.Fails("echo x > f");
        await room.Fails("mkdir made; echo x > made/f");
        Assert.Equal(["f"], (await room.Run("ls")).Split('\n'));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_rule_on_a_single_file_opens_that_file_alone(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["read:/W", "write:/W/f"], scene: root => File.WriteAllText(root + "/W/g", "g\n"));
        Assert.Equal("new", await room.Run("echo new > f; cat f"));
        await room.Fails("echo x > g");
        await room.Fails("echo x > h");
        await room.Fails("rm f");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T09")]
    public async Task What_is_lent_can_be_read_and_not_written_until_it_is_back(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, scene: root =>
        {
            Directory.CreateDirectory(root + "/W/part/deep");
            File.WriteAllText(root + "/W/part/f", "lent\n");
        });
        await room.Run("echo mine > part/before");
        var child = await room.LendAsync("child", "write:/W/part");
        if (!await room.IsRefused("/W/part is lent to child"))
        {
            Assert.Equal("lent", await room.Run("cat part/f; echo x > beside"));
            foreach (var way in new[] { "echo x > part/f", "echo x > part/deep/f", "rm -rf part", "mv part other; mkdir part; echo x > part/f", "touch part/f" }) await room.Fails(way);
        }
        Assert.False(Directory.Exists(room.W + "/other"));
        await room.Table.ReleaseAsync(child, SandboxRoom.Ct);
        await room.Run("echo back > part/f");
    }

    public static MatrixTheoryData<string, string> Later => new(Levels, ["/W/later", "/W/part/later", "/W/part/deep/er/later"]);

    [Theory, MemberData(nameof(Later)), Trait("case", "T09")]
    public async Task A_lent_place_that_is_not_there_yet_is_not_made_by_the_lender_whose_commands_go_on_working(string level, string later)
    {
        await using var room = await SandboxRoom.MakeAsync(level, level == "kernel" ? ["write:/W", "-read:/W/part/secret"] : ["write:/W"], scene: root =>
        {
            Directory.CreateDirectory(root + "/W/part/deep");
            Directory.CreateDirectory(root + "/W/beside");
            File.WriteAllText(root + "/W/part/g", "g\n");
            File.WriteAllText(root + "/W/part/secret", "secret\n");
        });
        var child = await room.LendAsync("child", "write:" + later);
        var path = room.Root + later;
        // Without mounts only a root as a whole can be kept from getting names, not a directory in one.
        if (later != "/W/later" && await room.IsRefused($"{path} is lent to child and not there yet")) return;
        await room.Run("echo more >> f; echo more >> part/g; echo x > beside/new; mv beside/new beside/newer; echo x > $TMPDIR/f");
        foreach (var way in new[] { $"mkdir -p {path}", $"mkdir -p {Path.GetDirectoryName(path)} && echo x > {path}", $"mv beside {path}", level == "kernel" ? "cat part/secret" : "false", "mv part other && mkdir part", "rm -rf part && ln -s beside part && echo x > part/later" })
            await room.Fails(way);
        Assert.Contains($"{path} is lent to child and not there yet", (await room.Bash($"mkdir -p {path}")).Content, StringComparison.Ordinal);
        Assert.False(Path.Exists(path));
        Assert.False(Path.Exists(room.W + "/other"));
        Directory.CreateDirectory(path); // As the child does.
        if (!await room.IsRefused($"{path} is lent to child and lies in"))
        {
            await room.Run($"ls {path}; echo x > new; echo x > part/new");
            await room.Fails($"echo x > {path}/f");
        }
        await room.Table.ReleaseAsync(child, SandboxRoom.Ct);
        await room.Run($"echo x > {path}/f");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T09")]
    public async Task While_a_command_can_write_somewhere_that_place_is_not_lent(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "read:/O"]);
        await room.Bash("sleep 600", ("run_in_background", true), ("name", "watcher"));
        Assert.Equal("watcher", room.Running.Writer([SandboxRoom.Rule("write:/W", room.Root)])?.Name);
        Assert.Null(room.Running.Writer([SandboxRoom.Rule("read:/W", room.Root)]));
        await room.Ask("KillBash", ("name", "watcher"));
        Assert.Null(room.Running.Writer([SandboxRoom.Rule("write:/W", room.Root)]));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T09"), Trait("case", "T37")]
    public async Task A_command_that_is_started_while_a_place_is_being_lent_waits_and_cannot_write_there(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "write:/R"], scene: root => Directory.CreateDirectory(root + "/R"));
        await room.Run($"echo x > {room.Root}/R/before");
        Task<ToolOutcome> late;
        using (await room.Scope.HoldLendingAsync(SandboxRoom.Ct))
        {
            late = room.Bash($"touch ran; echo x > {room.Root}/R/late");
            await room.LendAsync("child", "write:/R");
            Assert.False(late.IsCompleted);
        }
        Assert.True((await late).IsError);
        Assert.True(File.Exists(room.W + "/ran"));
        Assert.False(File.Exists(room.Root + "/R/late"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19")]
    public async Task A_hook_in_a_new_repository_is_moved_away_and_git_goes_on_working(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi", "-write:/W/.envrc"]);
        var outcome = await room.Bash("git init -q . && git add f && git -c user.name=a -c user.email=a@b commit -qm one && git log --format=%s; echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; git config core.fsmonitor /x; echo evil > .envrc");
        Assert.StartsWith("one\n", outcome.Content, StringComparison.Ordinal);
        Assert.False(File.Exists(room.W + "/.git/hooks/pre-commit"));
        Assert.False(File.Exists(room.W + "/.envrc"));
        Assert.DoesNotContain("fsmonitor", await File.ReadAllTextAsync(room.W + "/.git/config", SandboxRoom.Ct), StringComparison.Ordinal);
        Assert.Contains("repositoryformatversion", await File.ReadAllTextAsync(room.W + "/.git/config", SandboxRoom.Ct), StringComparison.Ordinal);
        foreach (var name in new[] { "pre-commit", "fsmonitor", ".envrc" }) Assert.Contains(name, outcome.Content, StringComparison.Ordinal);
        Assert.Equal([".gitignore", "1-0-.envrc", "1-0-config", "1-0-pre-commit"], Directory.EnumerateFiles(room.W + "/.yoi/quarantine").Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(3, room.Entries.OfType<Entry.Notification>().Count(told => told.Source == "sandbox"));

        if (await room.IsRefused("/W/.git/config may not be written and lies in")) return;
        await room.Run("echo more >> f; git -c user.name=a -c user.email=a@b commit -qam two; git clone -q . copy; git -C copy log --format=%s; git worktree add -q tree; rm -rf copy");
        await room.Fails("echo evil > .git/hooks/pre-commit");
        await room.Fails("git config core.fsmonitor /x");
        await room.Fails("echo x > .yoi/x");
        Assert.Equal(4, Directory.EnumerateFiles(room.W + "/.yoi/quarantine").Count());
        Assert.DoesNotContain(".yoi", await room.Run("git status --short --untracked-files=all"), StringComparison.Ordinal); // Nobody adds it with all else.
    }

    public static MatrixTheoryData<string, string> Settings => new(Levels, ["[core] fsmonitor = /evil #]", "[core]fsmonitor=/evil;]", "[core \"]\"] fsmonitor = /evil #]", "[remote \"o\"]\\n\\turl = \"evil:\":/evil", "[remote \"o\"]\\n\\turl = evil:\"\":/evil", "[core]\\n\\tbare = false\\n\\tfsmonitor = /evil"]);

    [Theory, MemberData(nameof(Settings)), Trait("case", "P19")]
    public async Task A_setting_that_git_would_run_is_taken_out_of_new_settings_however_it_is_written(string level, string setting)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi"]);
        var outcome = await room.Bash($"git init -q .; printf '{setting}\\n' >> .git/config");
        Assert.Contains("were taken out", outcome.Content, StringComparison.Ordinal);
        var left = await File.ReadAllTextAsync(room.W + "/.git/config", SandboxRoom.Ct);
        Assert.DoesNotContain("/evil", left, StringComparison.Ordinal);
        Assert.Contains("repositoryformatversion", left, StringComparison.Ordinal);
    }

    public static MatrixTheoryData<string, string> Attacks => new(Levels,
    [
        "ln -s ../home/.ssh .git",
        "mkdir -p evil/hooks; echo x > evil/hooks/pre-commit; ln -s evil .git",
        "mkdir -p evil; echo 'gitdir: evil' > .git",
        "ln -s ../home .yoi",
        "mkdir .git; ln -s ../../home/.ssh .git/hooks",
        "mkdir .git; ln -s ../../home/.ssh/id .git/config",
        "mkdir .yoi; ln -s ../../O .yoi/quarantine; mkdir .git; ln -s x .git/hooks",
        "ln -s ../O .envrc",
        "ln -s .git .yoi; mkdir .git; ln -s ../evil .git/quarantine; mkdir -p .git/hooks; echo x > .git/hooks/post-checkout",
    ]);

    [Theory, MemberData(nameof(Attacks)), Trait("case", "P19")]
    public async Task Nothing_that_leads_elsewhere_is_followed_when_denied_names_are_moved_away(string level, string attack)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi", "-write:/W/.envrc"]);
        var outcome = await room.Bash(attack);
        Assert.Contains("[yoi]", outcome.Content, StringComparison.Ordinal);
        room.AssertOutsideUntouched();
        Assert.NotEmpty(Directory.EnumerateFileSystemEntries(room.W + "/.yoi/quarantine"));
        Assert.False(new FileInfo(room.W + "/.yoi").LinkTarget is not null || new FileInfo(room.W + "/.yoi/quarantine").LinkTarget is not null);
        foreach (var name in new[] { ".git", ".git/hooks", ".git/config", ".envrc" }) Assert.Null(new FileInfo($"{room.W}/{name}").LinkTarget);
        Assert.False(File.Exists(room.W + "/.git") || File.Exists(room.W + "/.git/hooks/pre-commit") || File.Exists(room.W + "/.git/hooks/post-checkout"));
        // What was quarantined is a hole from here on.
        if (!await room.IsRefused("/W/.")) Assert.DoesNotContain("secret", await room.Run("grep -r . . 2>/dev/null; true"), StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P05"), Trait("case", "P22")]
    public async Task A_directory_that_is_exchanged_while_a_sandbox_is_made_carries_nothing_in(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-read:/W/a/b/secret"], scene: root => Directory.CreateDirectory(root + "/W/a/b"));
        await room.Run("mkdir -p link; rmdir link; ln -s ../O link");
        // The secret is not there yet, so nothing is pinned in this one; it makes it, and exchanges the directory above again and again.
        await room.Bash(
            "mkdir a/b/secret; touch begun; /usr/bin/python3 -c 'import ctypes; l=ctypes.CDLL(None); any(l.renameat2(-100, b\"a\", -100, b\"link\", 2) > 0 for _ in iter(int, 1))'",
            ("run_in_background", true), ("name", "swapper"));
        await Eventually.Holds(() => new FileInfo(room.W + "/a").LinkTarget is not null);
        await Eventually.Holds(() => new FileInfo(room.W + "/a").LinkTarget is null);
        for (var round = 0; round < 40; round++)
        {
            try
            {
                var outcome = await room.Bash("for d in a link; do echo x > $d/f; echo x > $d/planted; cat $d/f; done 2>/dev/null; true");
                Assert.DoesNotContain("outside and", outcome.Content ?? "", StringComparison.Ordinal);
            }
            catch (ToolFailure e)
            {
                Assert.Contains("not run", e.Message, StringComparison.Ordinal);
            }
            Judge();
        }
        await room.Ask("KillBash", ("name", "swapper"));
        Judge();

        void Judge()
        {
            // What bubblewrap made for a mount, in the moment of an exchange: docs/decisions/0438. Fails if anything is in it.
            if (level == "kernel" && Directory.Exists(room.O + "/b")) Directory.Delete(room.O + "/b");
            room.AssertOutsideUntouched();
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P15")]
    public async Task A_link_or_a_mount_chosen_by_a_command_leads_no_later_command_astray(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-read:/W/x/secret"], scene: root =>
        {
            Directory.CreateDirectory(root + "/W/x/secret");
            File.WriteAllText(root + "/W/x/secret/k", "canary");
        });
        if (await room.IsRefused("/W/x/secret")) return;
        await room.Run($"ln -s {room.O} /yoi/tmp/yoi-sandbox; ln -s / /yoi/home/W; ln -s {room.O} away");
        await room.Fails("cat x/secret/k");
        await room.Fails("echo x > away/f");
        Assert.Equal(["W"], (await room.Run($"ls {room.Root}")).Split('\n'));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_scope_that_needs_too_many_mounts_is_refused_with_the_reason(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", .. Enumerable.Range(0, 300).Select(i => $"-read:/W/s{i}")], scene: root =>
        {
            for (var i = 0; i < 300; i++) Directory.CreateDirectory($"{root}/W/s{i}");
        });
        Assert.Contains("at most 256", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true"))).Message, StringComparison.Ordinal);
    }
}
