using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Benchmarks.Figures;

/// <summary>What a command in the sandbox costs beside the same without one: Bash as a model calls it, less a call that does nothing.</summary>
internal static class CommandFigures
{
    private const string Section = "Commands";
    private const int Short = 60, Rounds = 4, Builds = 3, Pods = 20;

    /// <summary>Between two commands of a Pod, as a model's turn is: what the Pod makes ready for the next one is not beside what is measured.</summary>
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(25);

    /// <summary>In which a model writes a short call: 20 tokens at 100 a second.</summary>
    private static readonly TimeSpan Written = TimeSpan.FromMilliseconds(200);

    private const string True = """{"command":"true"}""", Nothing = """{"pattern":"*","path":"nothing"}""";

    private static readonly string[] Levels = [SandboxLevel.Kernel, SandboxLevel.Partial];

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        string[] levels = [.. Levels.Where(IsHere)];
        if (levels.Length == 0) return;
        using var place = Place.ForCommands();
        await TrueAsync(report, binary, place, levels);
        if (levels.Contains(SandboxLevel.Partial))
        {
            await ChangedAsync(report, binary, place);
            await FirstAsync(report, binary, place);
        }
        foreach (var level in levels) await ManyPlacesAsync(report, binary, place, level);
        await LargeAsync(report, binary, place, levels[0]);
        await LongAsync(report, binary, place, levels, "git status, 2,000 files", Repository, "git status --short", "git status --short", 20);
        await LongAsync(report, binary, place, levels, "dotnet build", Project, "dotnet restore", "dotnet build --no-restore --no-incremental -p:UseSharedCompilation=false", Builds);
    }

    private static bool IsHere(string level)
    {
        try
        {
            _ = level == SandboxLevel.Kernel ? Bubblewrap.Find() : Landlock.Find();
            return true;
        }
        catch (SandboxException e)
        {
            Console.Error.WriteLine($"no figures of level {level}: {e.Message}");
            return false;
        }
    }

    /// <summary>All beside each other, one after the other: what disturbs the machine meanwhile disturbs each.</summary>
    private static async Task TrueAsync(Report report, Binary binary, Place place, string[] levels)
    {
        var (plain, least, same) = (new Samples(), new Samples(), new Samples());
        var made = levels.Contains(SandboxLevel.Kernel) ? Plain.Compose(place, "bare", Scope(place, place.Folder("bare")), place.Folder("bare")) : null;
        List<(string Level, BenchPod Pod, Samples Empty, Samples True)> pods = [];
        foreach (var level in levels) pods.Add((level, await StartAsync(binary, place, level, "true"), new(), new()));
        foreach (var (_, pod, _, _) in pods) await TakeTurnAsync(pod, "true"); // The first one lists the scope, and starts the keeper.
        for (var i = 0; i < Short; i++)
        {
            plain.Add(Plain.Bash("true"));
            if (made is not null)
            {
                least.Add(Plain.Bubblewrap("true"));
                same.Add(Plain.Bubblewrap(made, "true"));
            }
            foreach (var (_, pod, empty, command) in pods)
            {
                empty.Add(await pod.EmptyCallAsync());
                command.Add(await TakeTurnAsync(pod, "true"));
            }
        }
        report.Add(Section, "bash -c true, nothing around it", binary, plain);
        if (made is not null)
        {
            report.Add(Section, "bubblewrap alone, the whole file system as it is", binary, least);
            report.Add(Section, "bubblewrap alone, a Pod's namespaces, mounts and filter", binary, same);
        }
        foreach (var (level, pod, empty, command) in pods)
        {
            for (var i = 0; i < Rounds; i++) await pod.CallsAsync("Bash", """{"command":"true"}""", Short);
            var held = IdleFigures.Private(pod.Pid);
            await pod.DisposeAsync();
            var own = command.Less(empty.Median);
            var kernel = level == SandboxLevel.Kernel;
            report.Add(Section, $"Bash of `true`, level {level}", binary, own);
            report.Add(Section, $"… as many times {(kernel ? "bubblewrap alone, as a Pod" : "bash alone")}, level {level}", binary, own.Times(kernel ? same : plain), target: kernel ? "3×" : "2×");
            report.Add(Section, $"private memory of the Pod behind {Short * (Rounds + 1)} commands, level {level}", binary, held);
        }
    }

    /// <summary>The scope is another than for the command before, each time: a directory of it is a new one.</summary>
    private static async Task ChangedAsync(Report report, Binary binary, Place place)
    {
        const string what = "another scope than before";
        var readable = place.Folder("changed");
        await using var pod = await StartAsync(binary, place, SandboxLevel.Partial, "changing", readable);
        await TakeTurnAsync(pod, "true");
        var (plain, empty, command, emptyWritten, written) = (new Samples(), new Samples(), new Samples(), new Samples(), new Samples());
        for (var i = 0; i < Short; i++)
        {
            plain.Add(Plain.Bash("true"));
            empty.Add(await pod.EmptyCallAsync());
            emptyWritten.Add(await pod.WrittenCallAsync("Glob", Nothing, Written));
            Change();
            command.Add(await TakeTurnAsync(pod, "true"));
            Change();
            written.Add(await pod.WrittenCallAsync("Bash", True, Written));
            await Task.Delay(Turn);
        }
        AddWritten(report, binary, what, written.Less(emptyWritten.Median), plain);
        var own = command.Less(empty.Median);
        report.Add(Section, $"Bash of `true`, {what}, its call there at once, level partial", binary, own);
        report.Add(Section, $"… as many times bash alone, {what}, its call there at once, level partial", binary, own.Times(plain));

        void Change()
        {
            Directory.Delete(readable);
            Directory.CreateDirectory(readable);
        }
    }

    /// <summary>The first command starts the Pod's keeper, too.</summary>
    private static async Task FirstAsync(Report report, Binary binary, Place place)
    {
        var (plain, empty, written) = (new Samples(), new Samples(), new Samples());
        for (var i = 0; i < Pods; i++)
        {
            await using var pod = await StartAsync(binary, place, SandboxLevel.Partial, string.Create(CultureInfo.InvariantCulture, $"first{i}"));
            await pod.EmptyCallAsync();
            plain.Add(Plain.Bash("true"));
            empty.Add(await pod.WrittenCallAsync("Glob", Nothing, Written));
            written.Add(await pod.WrittenCallAsync("Bash", True, Written));
        }
        AddWritten(report, binary, "the first of a Pod", written.Less(empty.Median), plain);
    }

    private static void AddWritten(Report report, Binary binary, string what, Samples own, Samples plain)
    {
        var written = string.Create(CultureInfo.InvariantCulture, $"its call written in {Written.TotalMilliseconds:0} ms");
        report.Add(Section, $"Bash of `true`, {what}, {written}, level partial", binary, own);
        report.Add(Section, $"… as many times bash alone, {what}, {written}, level partial", binary, own.Times(plain), target: "2×");
    }

    private static async Task<TimeSpan> TakeTurnAsync(BenchPod pod, string command)
    {
        var taken = await pod.BashAsync(command);
        await Task.Delay(Turn);
        return taken;
    }

    /// <summary>A scope of many rules: each is a mount, or a rule of Landlock's.</summary>
    private static async Task ManyPlacesAsync(Report report, Binary binary, Place place, string level)
    {
        foreach (var count in new[] { 10, 50, 150 })
        {
            string[] more = [.. Enumerable.Range(0, count).Select(i => place.Folder(string.Create(CultureInfo.InvariantCulture, $"more/{i}")))];
            await using var pod = await StartAsync(binary, place, level, $"with{count}", more);
            Claim.Exactly(count, (await pod.StatusAsync()).Scope.Allow.Count(rule => rule.Permission == Permission.Read), "directories to read");
            report.Add(Section, $"Bash of `true`, {count} more directories to read, level {level}", binary, await CostAsync(pod, "true", 20));
        }
    }

    private static async Task LargeAsync(Report report, Binary binary, Place place, string level)
    {
        var folder = place.Folder("large-" + level);
        for (var i = 0; i < 5_000; i++) Directory.CreateDirectory(string.Create(CultureInfo.InvariantCulture, $"{folder}/{i % 50}/{i}"));
        Claim.AtLeast(5_000, Directory.GetDirectories(folder, "*", SearchOption.AllDirectories).Length, "directories");
        await RestAsync();
        await using var pod = await StartAsync(binary, place, level, "large");
        report.Add(Section, $"Bash of `true`, 5,000 directories to write, level {level}", binary, await CostAsync(pod, "true", 20));
    }

    private static async Task LongAsync(
        Report report, Binary binary, Place place, string[] levels, string what, Action<string> scene, string before, string command, int count)
    {
        var name = what.Split(' ')[0];
        var outside = place.Folder(name + "-outside");
        scene(outside);
        await RestAsync();
        Plain.Bash($"cd {outside} && {before}");
        var plain = await Samples.OfAsync(count, async _ =>
        {
            var taken = Plain.Bash($"cd {outside} && {command}");
            await Task.Delay(Turn);
            return taken;
        });
        report.Add(Section, what + ", nothing around it", binary, plain);
        foreach (var level in levels)
        {
            scene(place.Folder($"{name}-{level}"));
            await RestAsync();
            await using var pod = await StartAsync(binary, place, level, name);
            if (!await RunsAsync(pod, before))
            {
                report.Add(Section, $"{what}, level {level}", binary, "does not run");
                continue;
            }
            var inside = await CostAsync(pod, command, count);
            report.Add(Section, $"{what}, level {level}", binary, inside);
            report.Add(Section, $"… as many times, {what.Split(',')[0]}, level {level}", binary, inside.Times(plain));
        }
    }

    /// <summary>Directories that were made just now are listed for each command, not only asked for their times; and git reads files again that are as new as its index.</summary>
    private static Task RestAsync() => Task.Delay(RepositoryIndex.Rest * 1.5);

    private static async Task<bool> RunsAsync(BenchPod pod, string command)
    {
        try
        {
            await pod.BashAsync(command);
            return true;
        }
        catch (InvalidOperationException e)
        {
            Console.Error.WriteLine(e.Message);
            return false;
        }
    }

    private static async Task<Samples> CostAsync(BenchPod pod, string command, int count)
    {
        await TakeTurnAsync(pod, "true");
        var (empty, whole) = (new Samples(), new Samples());
        for (var i = 0; i < count; i++)
        {
            empty.Add(await pod.EmptyCallAsync());
            whole.Add(await TakeTurnAsync(pod, command));
        }
        return whole.Less(empty.Median);
    }

    private static Task<BenchPod> StartAsync(Binary binary, Place place, string level, string name, params string[] readable)
    {
        var folder = place.Folder($"{name}-{level}");
        return BenchPod.StartAsync(binary.Path, place.Document($"solo-{name}-{level}") with { SandboxLevel = level, Cwd = folder, Scope = Scope(place, folder, readable) });
    }

    /// <summary>As a user has it; but for what level <c>partial</c> cannot hold around a repository.</summary>
    private static ScopeRules Scope(Place place, string folder, params string[] readable)
    {
        ScopeRule[] allow = [new(folder, Permission.Write), .. readable.Select(path => new ScopeRule(path, Permission.Read))];
        var guarded = !folder.EndsWith("git-" + SandboxLevel.Partial, StringComparison.Ordinal);
        return new(allow, guarded ? BuiltInDenies.For(place.Directories, Environment.GetEnvironmentVariable("HOME"), allow) : [], UnguardedGit: !guarded);
    }

    private static void Repository(string folder)
    {
        for (var i = 0; i < 2_000; i++)
            File.WriteAllText(string.Create(CultureInfo.InvariantCulture, $"{Directory.CreateDirectory($"{folder}/d{i % 40}").FullName}/f{i}"), $"file {i}\n");
        Plain.Bash($"cd {folder} && git init -q && git add . && git -c user.name=bench -c user.email=bench@localhost commit -qm all && test $(git ls-files | wc -l) -ge 2000");
    }

    private static void Project(string folder)
    {
        File.WriteAllText(folder + "/hello.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><DiscoverEditorConfigFiles>false</DiscoverEditorConfigFiles></PropertyGroup>
            </Project>
            """);
        // Not this repository's, which the command does not see.
        foreach (var (name, text) in new[] { ("Directory.Build.props", "<Project />"), ("Directory.Build.targets", "<Project />"), ("Directory.Packages.props", "<Project />"), ("global.json", "{}") })
            File.WriteAllText($"{folder}/{name}", text);
        File.WriteAllText(folder + "/Program.cs", "Console.WriteLine(\"hello\");\n");
    }
}
