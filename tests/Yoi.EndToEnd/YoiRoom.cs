using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>
/// A root of its own for one test: HOME, YOI_HOME and a project directory, and a clean environment. The program is the one
/// that YOI_BIN names, else the debug build. When it is disposed no process and no socket of this root may be left.
/// </summary>
internal sealed class YoiRoom : IAsyncDisposable
{
    private readonly Dictionary<string, string> _environment;

    internal YoiRoom()
    {
        Root = Directory.CreateTempSubdirectory("yoi-end-").FullName;
        Home = Directory.CreateDirectory(Root + "/home").FullName;
        Project = Directory.CreateDirectory(Root + "/project").FullName;
        Directories = new YoiDirectories(Root + "/y/state", Root + "/y/run", Root + "/y/config");
        _environment = new(StringComparer.Ordinal)
        {
            ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin",
            ["HOME"] = Home,
            ["YOI_HOME"] = Root + "/y",
            ["LANG"] = "C.UTF-8",
            ["TERM"] = "xterm",
            ["DOTNET_ROOT"] = Path.GetFullPath(RuntimeEnvironment.GetRuntimeDirectory() + "../../.."),
        };
    }

    /// <summary>The program under test.</summary>
    internal static string Program { get; } = Environment.GetEnvironmentVariable("YOI_BIN") is { Length: > 0 } given
        ? Path.GetFullPath(given) : Path.Combine(AppContext.BaseDirectory, "yoi");

    /// <summary>The sandbox that Pods have where a test names none: <c>kernel</c>, or what YOI_LEVEL says. Where that level cannot hold a case, the case asserts the refusal.</summary>
    internal static string Level { get; } = Environment.GetEnvironmentVariable("YOI_LEVEL") is { Length: > 0 } given ? given : "kernel";

    internal static bool IsPartial => Level == "partial";

    internal string Root { get; }
    internal string Home { get; }

    /// <summary>Where <c>yoi</c> is called.</summary>
    internal string Project { get; }

    /// <summary>Where this process sees them.</summary>
    internal YoiDirectories Directories { get; set; }

    /// <summary>What is called instead of a program and its arguments, if not the program itself.</summary>
    internal Func<string, IReadOnlyList<string>, (string Program, IReadOnlyList<string> Args)>? Through { get; set; }

    /// <summary>True: the root stays on disk, for whoever looks into a failure.</summary>
    internal bool Keep { get; set; }

    /// <summary>Sets a variable for every call from here on; null takes it away.</summary>
    internal void Variable(string name, string? value)
    {
        if (value is null) _environment.Remove(name);
        else _environment[name] = value;
    }

    /// <summary>Writes a file below the root and returns its path.</summary>
    internal string Write(string path, string text)
    {
        var full = Path.GetFullPath(path, Root);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
        return full;
    }

    internal string Read(string path) => File.ReadAllText(Path.GetFullPath(path, Root));

    /// <summary>Settings that make a key-less server on loopback the model of every Pod.</summary>
    /// <param name="sandbox">The level that Pods shall have; a test of every word on stderr asks for one that each machine has.</param>
    /// <param name="builtInDenies">False: a repository's hooks and settings may be changed, so that level <c>partial</c> can hold one.</param>
    internal void UseModel(ModelServer server, string? sandbox = null, bool builtInDenies = true) => Write("y/config/yoi.jsonc",
        $$"""{ "model": "local/mock", "sandbox": "{{sandbox ?? (HasSandbox ? Level : "auto")}}", "scope": { "built_in_denies": {{(builtInDenies ? "true" : "false")}} }, "providers": { "local": { "base_url": "{{server.OpenAiBaseUrl}}" } } }""");

    /// <summary>Who asks for level <c>partial</c> has it, or fails.</summary>
    internal static bool HasSandbox => IsPartial || File.Exists("/usr/bin/bwrap");

    /// <summary>Where the whole check runs, bubblewrap is installed and its absence a failure.</summary>
    internal static void SkipWithoutSandbox()
    {
        if (!HasSandbox && Environment.GetEnvironmentVariable("CI") is null) Assert.Skip("needs bubblewrap: `apt-get install bubblewrap`");
    }

    /// <summary>Runs to the end, with nothing on stdin.</summary>
    internal Task<YoiResult> RunAsync(params string[] args) => WithInputAsync("", args);

    /// <summary>Runs to the end, with this text on stdin.</summary>
    internal async Task<YoiResult> WithInputAsync(string input, params string[] args)
    {
        await using var process = Start(args);
        if (input.Length > 0) await process.TypeAsync(input);
        process.EndInput();
        return await process.EndAsync();
    }

    /// <summary>Starts and leaves it running.</summary>
    internal YoiProcess Start(params string[] args) => Start(Program, args);

    /// <summary>Starts another program in this room's environment: a shell that calls <c>yoi</c>, for example.</summary>
    internal YoiProcess Start(string program, IReadOnlyList<string> args)
    {
        if (Through is not null) (program, args) = Through(program, args);
        var info = new ProcessStartInfo(program, args)
        {
            WorkingDirectory = Project,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment.Clear();
        foreach (var (name, value) in _environment) info.Environment[name] = value;
        return new YoiProcess(info);
    }

    /// <summary>Rows of <c>yoi ps --json</c> by name, asked again while a busy machine keeps a Pod from answering in time.</summary>
    internal Task<IReadOnlyDictionary<string, JsonElement>> PodsAsync() =>
        PodsAsync(pods => pods.Values.All(row => row.GetProperty("state").GetString() != "not_answering"));

    /// <summary>The same, asked until this holds of the rows.</summary>
    internal async Task<IReadOnlyDictionary<string, JsonElement>> PodsAsync(Func<IReadOnlyDictionary<string, JsonElement>, bool> holds)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var pods = (await RunAsync("ps", "--json")).Expect(0).Json.EnumerateArray().ToDictionary(row => row.GetProperty("name").GetString()!);
            if (holds(pods)) return pods;
            Assert.True(TimeProvider.System.GetElapsedTime(began) < YoiProcess.Limit, "it never came true; the Pods: " + string.Join("; ", pods.Values));
        }
    }

    /// <summary>A client of the newest Pod of that name.</summary>
    internal async Task<PodClient> ConnectAsync(string name) =>
        await PodClient.ConnectAsync((await PodsAsync())[name].GetProperty("socket").GetString()!, limit: YoiProcess.Limit);

    /// <summary>The journal of the newest Pod of that name, as its file has it.</summary>
    internal IReadOnlyList<Entry> Journal(string name)
    {
        var directory = Directory.GetDirectories(Directories.Pods, name + ".*").Order(StringComparer.Ordinal).Last();
        return [.. File.ReadAllLines($"{directory}/{PodFiles.Journal}").Select(line => JournalCodec.Read(System.Text.Encoding.UTF8.GetBytes(line), 0)!.Entry)];
    }

    private static readonly string Self = new FileInfo("/proc/self/exe").LinkTarget!;

    /// <summary>
    /// Processes that work in this root, hold a file of it open or were told a path in it: pid and command line. A copy of the test host that is about to
    /// become a program holds what the host has open, and belongs to no root yet.
    /// </summary>
    internal IReadOnlyList<(int Pid, string CommandLine)> Processes()
    {
        List<(int, string)> found = [];
        foreach (var directory in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var pid) || pid == Environment.ProcessId) continue;
            try
            {
                var line = File.ReadAllText(directory + "/cmdline").Replace('\0', ' ');
                if (new FileInfo(directory + "/exe").LinkTarget != Self && (line.Contains(Root + "/", StringComparison.Ordinal) || Links(directory).Any(link => link.StartsWith(Root + "/", StringComparison.Ordinal))))
                    found.Add((pid, line));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked, or is another user's.
            }
        }
        return found;
    }

    /// <summary>A file of <c>/proc</c>; empty if it is gone, or another user's.</summary>
    internal static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static IEnumerable<string> Links(string process) =>
        Directory.GetFiles(process + "/fd").Append(process + "/cwd").Select(link => new FileInfo(link).LinkTarget ?? "");

    public async ValueTask DisposeAsync()
    {
        var left = Processes();
        foreach (var (pid, _) in left)
        {
            using var process = Process.GetProcessById(pid);
            process.Kill();
            await process.WaitForExitAsync();
        }
        var sockets = Directory.Exists(Directories.Runtime) ? Directory.GetFiles(Directories.Runtime) : [];
        if (Keep) return;
        Directory.Delete(Root, recursive: true);
        Assert.True(left.Count == 0, "left running: " + string.Join("; ", left));
        Assert.True(sockets.Length == 0, "left in the runtime directory: " + string.Join(", ", sockets.Select(Path.GetFileName)));
    }
}
