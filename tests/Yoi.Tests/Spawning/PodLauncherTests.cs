using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Models;

namespace Yoi.Tests.Spawning;

public sealed class PodLauncherTests : IDisposable
{
    private const string ReadyLine = """echo '{"ready":true,"pid":1,"socket":"/x.sock"}'""";
    private static readonly LaunchSecrets NoSecrets = new(null, null);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    private Task<LaunchedPod> Start(string script, LaunchDocument? document = null, LaunchSecrets? secrets = null, TimeSpan? limit = null, TimeProvider? time = null, CancellationToken? ct = null) =>
        PodLauncher.StartAsync(SpawningRoot.Shell(script), document ?? _root.Document("x"), secrets ?? NoSecrets, limit ?? Limit, time ?? TimeProvider.System, ct ?? TestContext.Current.CancellationToken);

    private static async Task<ProcessExit> End(LaunchedPod pod)
    {
        pod.Process.Signal(Libc.SigKill);
        var exit = await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken);
        pod.Process.Dispose();
        return exit;
    }

    [Fact]
    public async Task A_launched_process_gets_both_lines_then_the_end_and_its_answer_comes_back()
    {
        var document = _root.Document("x");
        var pod = await Start($"cat > {_root.Path}/got; {ReadyLine}; exec sleep 60", document, new LaunchSecrets("key", "sesame"));

        Assert.Equal("/x.sock", pod.Socket);
        Assert.Equal(PodProcess.StartTimeOf(pod.Pid), pod.StartTime);
        var lines = await File.ReadAllLinesAsync(_root.Path + "/got", TestContext.Current.CancellationToken);
        Assert.Equal(2, lines.Length);
        Assert.Contains($"\"pod_id\":\"{document.PodId}\"", lines[0], StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", lines[0], StringComparison.Ordinal);
        Assert.Contains("sesame", lines[1], StringComparison.Ordinal);
        Assert.Equal(Libc.SigKill, (await End(pod)).Signal);
    }

    [Fact]
    public async Task A_launched_process_leads_a_session_with_default_signals_and_nothing_open_above_stderr()
    {
        var pod = await Start($"{ReadyLine}; kill -STOP $$");

        var stat = (await File.ReadAllTextAsync($"/proc/{pod.Pid}/stat", TestContext.Current.CancellationToken)).Split(") ")[1].Split(' ');
        Assert.Equal(pod.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture), stat[3]); // Session.
        Assert.Equal(["0", "1", "2"], Directory.EnumerateFileSystemEntries($"/proc/{pod.Pid}/fd").Select(Path.GetFileName).Order());
        Assert.Equal("/", new DirectoryInfo($"/proc/{pod.Pid}/cwd").LinkTarget);
        var status = await File.ReadAllLinesAsync($"/proc/{pod.Pid}/status", TestContext.Current.CancellationToken);
        Assert.All(["SigBlk", "SigIgn"], field => Assert.EndsWith("0000000000000000", status.Single(line => line.StartsWith(field + ":", StringComparison.Ordinal)), StringComparison.Ordinal));
        await End(pod);
    }

    [Fact]
    public async Task Arguments_and_environment_carry_no_secret_and_yoi_variables_stay()
    {
        Environment.SetEnvironmentVariable("YOI_TEST_STAYS", "stays");
        Environment.SetEnvironmentVariable("ANTHROPIC_API_KEY", "sk-secret");
        Environment.SetEnvironmentVariable("MY_OWN_NAME", "sk-other");
        try
        {
            var pod = await Start($"{ReadyLine}; kill -STOP $$", _root.Document("x") with { KeySource = "env:MY_OWN_NAME" }, new LaunchSecrets("sk-third", null));
            var seen = await File.ReadAllTextAsync($"/proc/{pod.Pid}/environ", TestContext.Current.CancellationToken)
                + await File.ReadAllTextAsync($"/proc/{pod.Pid}/cmdline", TestContext.Current.CancellationToken);
            Assert.DoesNotContain("sk-", seen, StringComparison.Ordinal);
            Assert.Contains("YOI_TEST_STAYS=stays", seen, StringComparison.Ordinal);
            Assert.Contains("DOTNET_EnableDiagnostics=0", seen, StringComparison.Ordinal);
            Assert.Contains("DOTNET_JitHostMaxSlabCache=0", seen, StringComparison.Ordinal);
            Assert.Contains("DOTNET_GCgen0size=200000", seen, StringComparison.Ordinal);
            await End(pod);
        }
        finally
        {
            foreach (var name in new[] { "YOI_TEST_STAYS", "ANTHROPIC_API_KEY", "MY_OWN_NAME" }) Environment.SetEnvironmentVariable(name, null);
        }
    }

    [Fact, Trait("case", "T01")]
    public async Task A_process_that_exits_at_once_is_quoted_within_a_second_of_its_exit()
    {
        var clock = Stopwatch.StartNew();
        var e = await Assert.ThrowsAsync<LaunchException>(() => Start("echo 'no such model: gpt-0' >&2; exit 3"));

        Assert.Equal("ready", e.Step);
        Assert.Contains("exit code 3", e.Message, StringComparison.Ordinal);
        Assert.Contains("no such model: gpt-0", e.Message, StringComparison.Ordinal);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5)); // Far below the limit; a loaded machine is slow to start a shell.
    }

    [Fact, Trait("case", "T01")]
    public async Task A_process_that_dies_by_a_signal_is_told_by_its_signal()
    {
        var e = await Assert.ThrowsAsync<LaunchException>(() => Start("kill -SEGV $$"));
        Assert.Contains("signal 11", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_says_why_it_cannot_be_ready_is_quoted()
    {
        var e = await Assert.ThrowsAsync<LaunchException>(() => Start("""echo '{"ready":false,"pid":1,"error":"the grant was withdrawn"}'"""));
        Assert.Contains("the grant was withdrawn", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_says_nothing_is_killed_when_the_limit_passes()
    {
        var time = new ManualTime();
        var starting = Start($"echo $$ > {_root.Path}/pid.tmp; mv {_root.Path}/pid.tmp {_root.Path}/pid; exec sleep 60", limit: TimeSpan.FromSeconds(20), time: time);
        await Eventually.Holds(() => File.Exists(_root.Path + "/pid"));
        Assert.False(starting.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(20));

        var e = await Assert.ThrowsAsync<LaunchException>(() => starting);
        Assert.Contains("within 20 s", e.Message, StringComparison.Ordinal);
        AssertGone();
    }

    [Fact]
    public async Task A_cancelled_launch_leaves_no_process()
    {
        using var cancel = new CancellationTokenSource();
        var starting = Start($"echo $$ > {_root.Path}/pid.tmp; mv {_root.Path}/pid.tmp {_root.Path}/pid; exec sleep 60", ct: cancel.Token);
        await Eventually.Holds(() => File.Exists(_root.Path + "/pid"));
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting);
        AssertGone();
    }

    [Fact]
    public async Task Something_else_than_an_answer_on_stdout_is_quoted_and_its_process_killed()
    {
        var e = await Assert.ThrowsAsync<LaunchException>(() => Start($"echo $$ > {_root.Path}/pid; echo Hello; exec sleep 60"));
        Assert.Contains("Hello", e.Message, StringComparison.Ordinal);
        AssertGone();
    }

    [Fact]
    public async Task A_program_that_is_not_there_fails_at_exec()
    {
        var e = await Assert.ThrowsAsync<LaunchException>(() => PodLauncher.StartAsync(
            new PodProgram("/no/such/program", ["x"]), _root.Document("x"), NoSecrets, Limit, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Equal("exec", e.Step);
        Assert.Contains("/no/such/program", e.Message, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "T03")]
    public async Task A_launch_document_of_two_mebibytes_is_handed_over_even_to_a_process_that_answers_first()
    {
        var role = new string('r', 2 << 20);
        var reads = await Start($"head -1 | wc -c > {_root.Path}/size; {ReadyLine}; exec sleep 60", _root.Document("x") with { Role = role });
        Assert.InRange(int.Parse(await File.ReadAllTextAsync(_root.Path + "/size", TestContext.Current.CancellationToken), System.Globalization.CultureInfo.InvariantCulture), role.Length, role.Length + 4096);
        await End(reads);

        var ignores = await Start($"{ReadyLine}; exec sleep 60", _root.Document("y") with { Role = role });
        await End(ignores);
    }

    [Fact]
    public async Task Directories_are_private_and_old_last_words_are_not_quoted_again()
    {
        var document = _root.Document("x");
        var directory = _root.Directories.Pod("x", document.PodId);
        PrivateDirectories.Create(_root.Directories.State, _root.Directories.Pods, directory); // Of an earlier life: it is not removed.
        var first = await Assert.ThrowsAsync<LaunchException>(() => Start("echo one >&2; exit 1", document));
        var second = await Assert.ThrowsAsync<LaunchException>(() => Start("echo two >&2; exit 1", document));

        Assert.Contains("one", first.Message, StringComparison.Ordinal);
        Assert.EndsWith("two", second.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("one", second.Message, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(directory));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(directory, PodFiles.Stderr)));
    }

    private void AssertGone()
    {
        var pid = int.Parse(File.ReadAllText(_root.Path + "/pid"), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Null(PodProcess.StartTimeOf(pid));
    }
}
