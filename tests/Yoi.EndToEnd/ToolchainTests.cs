using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>
/// The usual toolchains in a sandboxed Pod without a network, each on a small real project; what they made is tried outside. The home is the
/// user's own, so that its package caches are the ones that a command sees. At level <c>partial</c> as docs/sandbox.md says: without
/// loopback, shared memory and terminals, and in a repository whose hooks and settings may be changed.
/// </summary>
[Trait("runs", "commands")]
public sealed class ToolchainTests : IAsyncDisposable
{
    /// <summary>Guards against a hang: a first build on a busy machine takes its time.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(9);

    private readonly YoiRoom _room = new();

    public ToolchainTests()
    {
        YoiRoom.SkipWithoutSandbox();
        _room.Variable("HOME", Environment.GetEnvironmentVariable("HOME"));
    }

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task Git_makes_repositories_commits_clones_and_adds_worktrees()
    {
        Needs.Programs("git");
        _room.Write("project/a.txt", "one\n");
        await BashAsync(
            "git init -q -b main . && git config user.name a && git config user.email a@b && git add . && git commit -qm first && git log --format=%s",
            "echo two >> a.txt && git commit -qam second && git checkout -qb side && echo side > s && git add s && git commit -qm side && git checkout -q main && git merge -q side && git log --format=%s",
            "git clone -q . copy && git worktree add -q tree side~1 && git -C copy log --format=%s && git stash list && git status --short && cat tree/a.txt");
        Assert.Equal("side\nsecond\nfirst\n", await HostAsync("git", "log", "--format=%s"));
        Assert.Equal("side\nsecond\nfirst\n", await HostAsync("git", "-C", "copy", "log", "--format=%s"));
        Assert.Equal("one\ntwo\n", _room.Read("project/tree/a.txt"));
        await HostAsync("git", "fsck", "--strict");
    }

    [Fact]
    public async Task Npm_installs_a_local_package_and_node_runs_the_build()
    {
        Needs.Programs("node", "npm");
        _room.Write("project/package.json", """{ "name": "app", "version": "1.0.0", "scripts": { "build": "node build.js" }, "dependencies": { "twice": "file:twice" } }""");
        _room.Write("project/twice/package.json", """{ "name": "twice", "version": "1.0.0", "main": "index.js" }""");
        _room.Write("project/twice/index.js", "module.exports = x => 2 * x;\n");
        _room.Write("project/build.js", "require('fs').writeFileSync('out.txt', String(require('twice')(21)));\n");
        const string served = "node -e 'const n = require(\"net\"); const s = n.createServer(c => c.end(\"served\")).listen(0, \"127.0.0.1\", () => n.connect(s.address().port, \"127.0.0.1\").on(\"data\", d => { console.log(String(d)); s.close() }))' | grep served";
        await BashAsync("npm install --no-audit && npm run build", YoiRoom.IsPartial ? $"! {served}" : served);
        Assert.Equal("42", _room.Read("project/out.txt"));
        Assert.Equal("42\n", await HostAsync("node", "-p", "require('twice')(21)"));
    }

    [Fact]
    public async Task Dotnet_builds_and_tests_offline_with_the_user_s_packages_read_only()
    {
        Needs.Programs("dotnet", "git");
        var packages = Environment.GetEnvironmentVariable("HOME") + "/.nuget/packages";
        Assert.SkipUnless(Directory.Exists(packages + "/xunit.v3/3.2.1"), "xunit.v3 3.2.1 is not in ~/.nuget/packages, where restoring this repository puts it");
        await HostAsync("git", "init", "-q"); // Builds ask a repository which version of the source they are of.
        _room.Write("project/global.json", """{ "test": { "runner": "Microsoft.Testing.Platform" } }""");
        _room.Write("project/app/app.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup>
            </Project>
            """);
        _room.Write("project/app/Program.cs", "System.Console.WriteLine(Calc.Twice(21));\npublic static class Calc { public static int Twice(int x) => 2 * x; }\n");
        _room.Write("project/tests/tests.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup>
              <ItemGroup><PackageReference Include="xunit.v3" Version="3.2.1" /><ProjectReference Include="../app/app.csproj" /></ItemGroup>
            </Project>
            """);
        _room.Write("project/tests/CalcTests.cs", "public class CalcTests { [Xunit.Fact] public void Twice() => Xunit.Assert.Equal(4, Calc.Twice(2)); }\n");
        // Where there are no sockets, `dotnet test` cannot hear of the test program, which runs all the same.
        var (test, good, bad) = YoiRoom.IsPartial
            ? ("dotnet build tests --nologo && tests/bin/Debug/net10.0/tests", "Errors: 0, Failed: 0", "Errors: 0, Failed: 1") : ("dotnet test --project tests", "succeeded: 1", "failed: 1");
        await BashAsync(
            "dotnet build app --nologo && app/bin/Debug/net10.0/app | grep 42",
            $"{test} | tee said; grep -q '{good}' said",
            $"sed -i 's/2 \\* x/3 * x/' app/Program.cs; ! {{ {test}; }} > said && grep -q '{bad}' said",
            YoiRoom.IsPartial ? "! dotnet test --project tests" : "true",
            $"! touch {packages}/planted && ! touch {packages}/xunit.v3/planted");
        Assert.Equal("63\n", await HostAsync("dotnet", "app/bin/Debug/net10.0/app.dll"));
        Assert.False(File.Exists(packages + "/planted") || File.Exists(packages + "/xunit.v3/planted"));
    }

    [Fact]
    public async Task Python_makes_an_environment_of_its_own_and_works_in_several_processes()
    {
        Needs.Programs("python3");
        const string pool = "with m.Pool(2) as p, m.Manager() as shared: d = shared.dict(s=sum(p.map(f, range(10)))); print(d['s'])";
        const string pipe = "a, b = m.Pipe(); p = m.Process(target=g, args=(b,)); p.start(); print(a.recv()); p.join()";
        const string many = "import multiprocessing as m\ndef f(x): return x * x\ndef g(c): c.send(sum(map(f, range(10))))\nif __name__ == '__main__':\n  ";
        _room.Write("project/pool.py", many + pool);
        _room.Write("project/many.py", many + (YoiRoom.IsPartial ? pipe : pool));
        await BashAsync("python3 -m venv env && env/bin/python many.py > out.txt", YoiRoom.IsPartial ? "! env/bin/python pool.py" : "env/bin/python pool.py", "cat > env/own.pth < /dev/null; env/bin/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)'");
        Assert.Equal("285\n", _room.Read("project/out.txt"));
        Assert.Equal("285\n", await HostAsync(_room.Project + "/env/bin/python", "many.py"));
    }

    [Fact]
    public async Task Make_and_gcc_build_a_program()
    {
        Needs.Programs("gcc", "make");
        _room.Write("project/main.c", "#include <stdio.h>\n#include \"twice.h\"\nint main(void) { printf(\"%d\\n\", twice(21)); return 0; }\n");
        _room.Write("project/twice.h", "int twice(int);\n");
        _room.Write("project/twice.c", "int twice(int x) { return 2 * x; }\n");
        _room.Write("project/Makefile", "main: main.o twice.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c -o $@ $<\n");
        await BashAsync("make -j2 && ./main | grep 42");
        Assert.Equal("42\n", await HostAsync(_room.Project + "/main"));
    }

    [Fact]
    public async Task Cargo_builds_and_tests_a_crate()
    {
        Needs.Programs("cargo");
        _room.Write("project/Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
        _room.Write("project/src/main.rs", "fn main() { println!(\"{}\", 21 * 2); }\n#[test]\nfn adds() { assert_eq!(1 + 1, 2); }\n");
        await BashAsync("cargo build && cargo test 2>&1 | grep '1 passed'");
        Assert.Equal("42\n", await HostAsync(_room.Project + "/target/debug/app"));
    }

    /// <summary>A Pod's model calls Bash for each; all exit with 0.</summary>
    private async Task BashAsync(params string[] commands)
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("builder", [.. commands.Select(command => Call("Bash", new { command, timeout = 500_000 }))]).Answer);
        _room.UseModel(server, builtInDenies: !YoiRoom.IsPartial);
        await using var run = _room.Start("run", "build", "--name", "builder");
        run.EndInput();
        (await run.EndAsync(Limit)).Expect(0);
        var results = _room.Journal("builder").OfType<Entry.ToolResult>().ToList();
        Assert.Equal(commands.Length, results.Count);
        foreach (var (result, command) in results.Zip(commands)) Assert.False(result.IsError, $"{command}\n{result.Summary}\n{result.Content}");
    }

    /// <summary>What a program says outside of any sandbox; it exits with 0.</summary>
    private async Task<string> HostAsync(string program, params string[] args)
    {
        await using var process = _room.Start(program, args);
        process.EndInput();
        return (await process.EndAsync(Limit)).Expect(0).Out;
    }
}
