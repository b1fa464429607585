using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Shared;
using Yoi.Tests.Cli;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>What a Pod could change beyond its scope, through what lies in it before it starts, is said beforehand.</summary>
[Collection("sandbox")]
public sealed class BeyondScopeTests
{
    private static IReadOnlyList<string> Of(SandboxRoom room) => PodReach.Beyond(new(room.Scope.Current(), room.Platform, Network: false), room.Level);

    private static Action<string> Repository(string settings, string tree = "W", string home = "") => root =>
    {
        Run("git", "init", "-q", $"{root}/{tree}");
        Directory.CreateDirectory($"{root}/W/tools");
        File.WriteAllText($"{root}/W/tools/run.sh", "#!/bin/sh\ncat\n");
        File.SetUnixFileMode($"{root}/W/tools/run.sh", (UnixFileMode)0b111_101_101);
        File.AppendAllText($"{root}/{tree}/.git/config", settings.Replace("ROOT", root, StringComparison.Ordinal));
        if (home.Length > 0) File.WriteAllText($"{root}/home/.gitconfig", home.Replace("ROOT", root, StringComparison.Ordinal));
    };

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { Environment = { ["HOME"] = "/nonexistent", ["GIT_CONFIG_NOSYSTEM"] = "1" } })!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Theory, Trait("case", "P19")]
    [InlineData("[filter \"x\"]\n\tclean = ./tools/run.sh %f", "filter.x.clean")]
    [InlineData("[filter \"x\"] smudge = \"sh -c 'tools/run.sh'\" ; comment", "filter.x.smudge")]
    [InlineData("[filter \"x\"]\n\tprocess = ROOT/W/tools/\\\nrun.sh", "filter.x.process")]
    [InlineData("[Core]\n\tFSMonitor = tools/run.sh", "core.fsmonitor")]
    [InlineData("[core]\n\tpager = sh tools/run.sh", "core.pager")]
    [InlineData("[core]\n\teditor = ROOT/W/not-yet", "core.editor")]
    [InlineData("[core]\n\tsshCommand = ssh -o ProxyCommand=tools/run.sh", "core.sshcommand")]
    [InlineData("[alias]\n\tgo = !tools/run.sh", "alias.go")]
    [InlineData("[diff]\n\texternal = tools/run.sh", "diff.external")]
    [InlineData("[diff \"pdf\"]\n\ttextconv = tools/run.sh", "diff.pdf.textconv")]
    [InlineData("[merge \"ours\"]\n\tdriver = tools/run.sh %O %A %B", "merge.ours.driver")]
    [InlineData("[credential \"https://host\"]\n\thelper = !tools/run.sh", "credential.https://host.helper")]
    [InlineData("[core]\n\thooksPath = ROOT/W/tools", "core.hookspath", false)]
    [InlineData("[include]\n\tpath = ../tools/run.sh", "include.path", false)]
    public async Task A_setting_of_git_that_names_a_program_of_the_writable_scope_is_told_with_its_file_and_key(string setting, string key, bool ofRepository = true)
    {
        // What the repository's own settings name as hooks or more settings is denied, so those are the user's.
        await using var room = await SandboxRoom.MakeAsync("kernel", scene: ofRepository ? Repository(setting) : Repository("", home: setting.Replace("../tools", "ROOT/W/tools", StringComparison.Ordinal)));
        var file = ofRepository ? room.W + "/.git/config" : room.Home + "/.gitconfig";
        var line = Assert.Single(Of(room), line => line.Contains($"{key} in {file}", StringComparison.Ordinal));
        Assert.Contains(room.W, line, StringComparison.Ordinal);
    }

    [Theory, Trait("case", "P19")]
    [InlineData("[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tprocess = git-lfs filter-process\n[core]\n\tpager = less -R\n\teditor = vim")]
    [InlineData("[alias]\n\tci = commit tools/run.sh\n[user]\n\tname = tools/run.sh\n[core]\n\texcludesFile = tools/run.sh")]
    [InlineData("[core]\n\tfsmonitor = .git/hooks/fsmonitor-watchman\n# [filter \"x\"] clean = tools/run.sh\n")]
    [InlineData("[filter \"x\"]\n\tclean = ROOT/O/f\n\tsmudge = ../O/f")]
    public async Task A_setting_that_names_nothing_of_the_writable_scope_is_not_told(string settings)
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", scene: Repository(settings));
        Assert.Empty(Of(room));
    }

    [Fact, Trait("case", "P19")]
    public async Task The_repository_around_a_scope_and_those_within_it_are_looked_at()
    {
        await using var around = await SandboxRoom.MakeAsync("kernel", scene: Repository("[filter \"x\"]\n\tclean = W/tools/run.sh", tree: ""));
        Assert.Contains($"filter.x.clean in {around.Root}/.git/config", Assert.Single(Of(around)), StringComparison.Ordinal);
        await using var within = await SandboxRoom.MakeAsync("kernel", scene: root =>
        {
            Repository("[filter \"x\"]\n\tclean = ../../tools/run.sh", tree: "W/a/b")(root);
            Run("git", "-C", root + "/W/a/b", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one", "--allow-empty");
            Run("git", "-C", root + "/W/a/b", "worktree", "add", "-q", root + "/W/tree");
        });
        Assert.All(Of(within), line => Assert.Contains($"filter.x.clean in {within.W}/a/b/.git/config", line, StringComparison.Ordinal));
        Assert.NotEmpty(Of(within));
    }

    [Fact, Trait("case", "P19")]
    public async Task What_is_warned_of_is_true_a_command_changes_the_program_and_git_on_the_host_runs_it()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", scene: root =>
        {
            Repository("[filter \"x\"]\n\tclean = tools/run.sh")(root);
            File.WriteAllText(root + "/W/.gitattributes", "f filter=x\n");
        });
        Assert.Single(Of(room));
        await room.Fails("git config filter.x.clean other");
        await room.Run($"echo 'echo ran > {room.O}/ran; cat' > tools/run.sh");
        Assert.False(File.Exists(room.O + "/ran"));
        Run("git", "-C", room.W, "-c", "safe.directory=*", "add", "f");
        Assert.True(File.Exists(room.O + "/ran"));
    }

    [Fact, Trait("case", "P25")]
    public async Task Files_with_names_outside_the_writable_scope_are_counted_and_named_and_a_command_does_change_them()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", ["write:/W", "-write:/W/kept"], scene: root =>
        {
            Directory.CreateDirectory(root + "/W/kept");
            File.WriteAllText(root + "/W/pair", "x");
            Assert.Equal(0, Scopes.Native.HardLink(root + "/W/pair", root + "/W/pair2")); // All of its names are inside.
            File.WriteAllText(root + "/W/kept/f", "x");
            Assert.Equal(0, Scopes.Native.HardLink(root + "/W/kept/f", root + "/W/denied"));
            Assert.Equal(0, Scopes.Native.HardLink(root + "/O/f", root + "/W/shared"));
        });
        var line = Assert.Single(Of(room));
        Assert.StartsWith("2 of the files", line, StringComparison.Ordinal);
        foreach (var name in new[] { "denied", "shared" }) Assert.Contains($"{room.W}/{name}", line, StringComparison.Ordinal);
        Assert.DoesNotContain("pair", line, StringComparison.Ordinal);
        await room.Fails("echo changed > kept/f");
        await room.Run("echo changed > denied; echo changed > shared");
        Assert.Equal("changed\n", await File.ReadAllTextAsync(room.W + "/kept/f", SandboxRoom.Ct));
        Assert.Equal("changed\n", await File.ReadAllTextAsync(room.O + "/f", SandboxRoom.Ct));
        Assert.Empty(PodReach.Beyond(new(room.Scope.Current(), room.Platform, Network: false), SandboxLevel.ToolsOnly)); // A file tool replaces, and the other name keeps what it was.
    }

    [Fact, Trait("case", "P25")]
    public async Task A_look_at_a_tree_of_any_size_ends_at_its_bound()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", scene: root =>
        {
            for (var directory = 0; directory < 120; directory++)
            {
                Directory.CreateDirectory($"{root}/W/{directory:000}");
                for (var file = 0; file < 100; file++) File.WriteAllText($"{root}/W/{directory:000}/{file}", "");
            }
            Assert.Equal(0, Scopes.Native.HardLink(root + "/O/f", root + "/W/near"));
            Directory.CreateDirectory(root + "/W/000/deep");
            Assert.Equal(0, Scopes.Native.HardLink(root + "/O/d/f", root + "/W/000/deep/far"));
        });
        var began = Stopwatch.GetTimestamp();
        var look = WritableLook.Of(room.Scope.Current());
        TestContext.Current.TestOutputHelper?.WriteLine($"{Stopwatch.GetElapsedTime(began).TotalMilliseconds:0.0} ms");
        Assert.Equal([room.W + "/near"], look.Shared); // The nearest first.
    }

    [Fact, Trait("case", "P19"), Trait("case", "P25")]
    public async Task A_spawn_says_so_of_what_is_lent_and_a_start_and_doctor_of_what_is_held()
    {
        Needs.Programs("git");
        await using (var room = new PodRoom())
        {
            var root = await room.Root(with: d => d with { SandboxLevel = "kernel" });
            var (part, own) = (room.Folder("part"), room.Folder("own"));
            Repository("[core]\n\tfsmonitor = part/run.sh", tree: "work")(room.Path);
            await File.WriteAllTextAsync(part + "/run.sh", "", room.Ct);
            await File.WriteAllTextAsync(own + "/f", "kept", room.Ct);
            Assert.Equal(0, Scopes.Native.HardLink(own + "/f", part + "/f"));
            var warned = (await root.Spawn("a", scope: RoomPod.Write(part))).Content!;
            Assert.Contains($"beware: git runs {part}/run.sh (core.fsmonitor in {room.Work}/.git/config)", warned, StringComparison.Ordinal);
            Assert.Contains($"beware: 1 of the files that can be written in this scope have other names outside of it (hard links); what a command writes there is in both: {part}/f", warned, StringComparison.Ordinal);
            Assert.DoesNotContain("beware", (await root.Spawn("b", scope: RoomPod.Write(room.Folder("other")))).Content, StringComparison.Ordinal);
        }
        using var cli = new CliRoom();
        Assert.Equal(0, await cli.RunAsync("run", "--explain-scope", "--sandbox", "tools-only"));
        Assert.DoesNotContain("git runs", cli.Error, StringComparison.Ordinal);
        Run("git", "init", "-q", cli.Cwd);
        await File.AppendAllTextAsync(cli.Cwd + "/.git/config", "[core]\n\tpager = ./page.sh\n", SandboxRoom.Ct);
        Assert.Equal(0, await cli.RunAsync("run", "--explain-scope", "--sandbox", "tools-only"));
        Assert.Contains($"git runs {cli.Cwd}/page.sh (core.pager in {cli.Cwd}/.git/config)", cli.Error, StringComparison.Ordinal);
        await cli.RunAsync("doctor");
        Assert.Contains("core.pager", cli.Out, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "P25")]
    public async Task Doctor_says_of_the_Pod_that_the_settings_here_would_make_what_it_could_change_and_what_is_not_held()
    {
        SandboxRoom.SkipWithout("kernel");
        using var cli = new CliRoom();
        var other = Directory.CreateDirectory(cli.Root + "/other").FullName;
        Run("git", "init", "-q", other);
        await File.AppendAllTextAsync(other + "/.git/config", "[core]\n\tpager = ./page.sh\n", SandboxRoom.Ct);
        Assert.Equal(0, await cli.RunAsync("doctor"));
        Assert.DoesNotContain("core.pager", cli.Out, StringComparison.Ordinal);
        Assert.Contains("no network, and could write", cli.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("it can send", cli.Out, StringComparison.Ordinal);

        Settings(cli, $$"""{ "sandbox": "kernel", "network": true, "scope": { "write": ["{{other}}"] } }""");
        Assert.Equal(0, await cli.RunAsync("doctor", "--json"));
        var rows = System.Text.Json.JsonDocument.Parse(cli.Out).RootElement.EnumerateArray().Select(row => $"{row.GetProperty("status")} {row.GetProperty("name")}: {row.GetProperty("detail")}").ToList();
        Assert.Contains(rows, row => row.StartsWith($"warning pod here: git runs {other}/page.sh (core.pager in {other}/.git/config)", StringComparison.Ordinal));
        Assert.Contains("open not held: with the network, what it can read it can send", rows);
        Assert.Contains(rows, row => row.StartsWith("open not held: space on the scope's disk is not limited", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.StartsWith("ok pod here: would have level kernel, the network", StringComparison.Ordinal) && row.Contains(other, StringComparison.Ordinal));

        Settings(cli, $$"""{ "sandbox": "tools-only", "scope": { "write": ["{{other}}/none"] } }""");
        Assert.Equal(ExitCode.RunFailed, await cli.RunAsync("doctor"));
        Assert.Contains($"{other}/none does not exist", string.Join(' ', cli.Out.Split((char[])['\n', ' '], StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private static void Settings(CliRoom cli, string text)
    {
        Directory.CreateDirectory(cli.Surroundings.Directories.Config);
        File.WriteAllText(cli.Surroundings.Directories.Config + "/yoi.jsonc", text);
    }
}
