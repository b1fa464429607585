using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Cli;

public sealed class LaunchPlanTests : IDisposable
{
    private static readonly LaunchWishes Nothing = new(null, null, "ollama/q", null, [], [], [], [], null, null, null, null, null, null);
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private Task<LaunchPlan> PlanAsync(LaunchWishes wishes) => LaunchPlan.ComposeAsync(_room.Surroundings, wishes, TestContext.Current.CancellationToken);

    private void User(string json)
    {
        Directory.CreateDirectory(_room.Surroundings.Directories.Config);
        File.WriteAllText(_room.Surroundings.Directories.Config + "/yoi.jsonc", json);
    }

    [Fact]
    public async Task A_root_writes_its_working_directory_and_is_its_own_root()
    {
        var document = (await PlanAsync(Nothing)).Document;
        Assert.Equal([new ScopeRule(_room.Cwd, Permission.Write)], document.Scope.Allow);
        Assert.Equal((document.PodId, 0, null, null), (document.RootId, document.Depth, document.Grant, document.Spawner));
        Assert.Equal(("my-project-1", _room.Cwd, new PodLimits()), (document.Name, document.Cwd, document.Limits));
    }

    [Fact]
    public async Task Flags_replace_the_default_scope_and_raise_limits()
    {
        Directory.CreateDirectory(_room.Cwd + "/src");
        Directory.CreateSymbolicLink(_room.Cwd + "/link", _room.Cwd + "/src");
        User("""{ "scope": { "write": ["/tmp"] }, "limits": { "children": 2 } }""");
        var document = (await PlanAsync(Nothing with { Write = ["link"], Read = ["."], DenyRead = ["src/secret"], MaxChildren = 40 })).Document;
        Assert.Equal([new ScopeRule(_room.Cwd + "/src", Permission.Write), new ScopeRule(_room.Cwd, Permission.Read)], document.Scope.Allow);
        Assert.Contains(new ScopeRule(_room.Cwd + "/src/secret", Permission.Read), document.Scope.Deny);
        Assert.Equal(40, document.Limits.Children);
    }

    [Fact]
    public async Task What_runs_later_outside_is_denied_unless_the_human_frees_it()
    {
        var hooks = new ScopeRule(_room.Cwd + "/.git/hooks", Permission.Write);
        var secret = new ScopeRule(_room.Root + "/.ssh", Permission.Read);
        var strict = (await PlanAsync(Nothing with { Write = [".."] })).Document.Scope.Deny;
        Assert.Contains(secret, strict);
        Assert.Contains(new ScopeRule(_room.Root + "/.git/hooks", Permission.Write), strict);
        Assert.Contains(hooks, (await PlanAsync(Nothing)).Document.Scope.Deny);
        User("""{ "scope": { "built_in_denies": false } }""");
        var free = (await PlanAsync(Nothing with { Write = [".."] })).Document.Scope.Deny;
        Assert.Contains(secret, free);
        Assert.DoesNotContain(free, rule => rule.Permission == Permission.Write);
    }

    [Fact]
    public async Task The_key_is_in_the_secrets_and_nowhere_in_the_document()
    {
        _room.Variable("OPENAI_API_KEY", "sk-very-secret");
        var plan = await PlanAsync(Nothing with { Model = "openai/gpt-5" });
        Assert.Equal("sk-very-secret", plan.Secrets.ApiKey);
        Assert.Equal("env:OPENAI_API_KEY", plan.Document.KeySource);
        Assert.DoesNotContain("sk-very-secret", System.Text.Json.JsonSerializer.Serialize(plan.Document, Runtime.Spawning.LaunchJson.Default.LaunchDocument), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_is_a_file_or_text()
    {
        File.WriteAllText(_room.Cwd + "/reviewer.md", "You review.");
        Assert.Equal("You review.", (await PlanAsync(Nothing with { Role = "reviewer.md" })).Document.Role);
        Assert.Equal("You test.", (await PlanAsync(Nothing with { Role = "You test." })).Document.Role);
        foreach (var mistyped in new[] { "reviwer.md", "roles/reviewer", "." })
            Assert.Contains("is no file", (await Assert.ThrowsAsync<CommandException>(() => PlanAsync(Nothing with { Role = mistyped }))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_the_current_directory_cannot_be_read_it_works_in_the_first_that_can_and_says_so()
    {
        Directory.CreateDirectory(_room.Cwd + "/src");
        var plan = await PlanAsync(Nothing with { Write = ["src"] });
        Assert.Equal(_room.Cwd + "/src", plan.Document.Cwd);
        Assert.Contains(plan.Warnings, warning => warning.Contains($"it works in {_room.Cwd}/src", StringComparison.Ordinal));
        Assert.Equal(_room.Cwd, (await PlanAsync(Nothing with { Write = ["src"], Read = ["."] })).Document.Cwd);
        Assert.Equal(_room.Cwd, (await PlanAsync(Nothing with { Write = ["src"], Cwd = "." })).Document.Cwd); // As asked.
    }

    [Fact]
    public async Task What_git_would_not_find_is_said_with_what_helps()
    {
        async Task<string?> Said(LaunchWishes wishes) => (await PlanAsync(wishes)).Warnings.FirstOrDefault(warning => warning.StartsWith("git will not find", StringComparison.Ordinal));
        Directory.CreateDirectory(_room.Cwd + "/sub");
        Assert.Null(await Said(Nothing));
        Directory.CreateDirectory(_room.Cwd + "/.git");
        Assert.Null(await Said(Nothing));
        Assert.Contains($"`--read {_room.Cwd}`", await Said(Nothing with { Cwd = "sub", Write = ["sub"] }), StringComparison.Ordinal);
        Assert.Null(await Said(Nothing with { Cwd = "sub", Write = ["sub"], Read = ["."] }));

        var tree = Directory.CreateDirectory(_room.Root + "/tree").FullName;
        var own = Directory.CreateDirectory(_room.Cwd + "/.git/worktrees/tree").FullName;
        File.WriteAllText(tree + "/.git", $"gitdir: {own}\n");
        File.WriteAllText(own + "/commondir", "../..\n");
        var worktree = Nothing with { Cwd = tree, Write = [tree] };
        Assert.Contains($"is in {_room.Cwd}/.git: `--read", await Said(worktree), StringComparison.Ordinal);
        Assert.Null(await Said(worktree with { Read = [_room.Cwd] }));
    }

    [Fact]
    public async Task A_free_number_follows_names_that_were_ever_used()
    {
        await _room.DeadPodAsync("my-project-1");
        Assert.Equal("my-project-2", (await PlanAsync(Nothing)).Document.Name);
    }

    [Theory]
    [InlineData("--cwd", "nowhere")]
    [InlineData("--write", "nowhere")]
    [InlineData("--read", "nowhere")]
    public async Task A_path_that_is_not_there_is_refused(string flag, string path)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync("start", "a", "--model", "ollama/q", flag, path));
        Assert.Contains("does not exist", _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_name_is_refused_with_the_rule()
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync("start", "a b", "--model", "ollama/q"));
        Assert.Contains("ASCII letters", _room.Error, StringComparison.Ordinal);
    }
}
