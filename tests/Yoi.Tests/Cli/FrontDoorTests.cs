using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Cli;

public sealed partial class FrontDoorTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(false, Architecture.X64, "Darwin 24.0", "this is Darwin 24.0; Yoi runs on Linux")]
    [InlineData(false, Architecture.Arm64, "Microsoft Windows 10.0", "On Windows use WSL")]
    [InlineData(true, Architecture.X86, "Linux", "this is Linux on X86")]
    public void Another_platform_is_refused_in_words(bool linux, Architecture architecture, string description, string words) =>
        Assert.Contains(words, Platform.WhyNot(linux, architecture, description), StringComparison.Ordinal);

    [Theory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public void Linux_is_the_platform(Architecture architecture) => Assert.Null(Platform.WhyNot(true, architecture, "Linux"));

    public static TheoryData<string, string> Examples()
    {
        TheoryData<string, string> data = [];
        foreach (var file in new[] { "README.md", "docs/cli.md", "docs/configuration.md", "CONTRIBUTING.md", "ARCHITECTURE.md" })
            foreach (Match block in CodeBlock().Matches(SourceTree.Read(file)))
                foreach (var line in block.Groups["code"].Value.Split('\n').Select(line => line.Trim()).Where(line => ExampleLine().IsMatch(line)))
                    data.Add(file, line);
        return data;
    }

    [Theory]
    [MemberData(nameof(Examples))]
    public void Every_example_in_the_docs_is_a_command_line_that_parses(string file, string line)
    {
        var words = Words().Matches(ExampleLine().Match(line).Groups["command"].Value.Split(" | ")[0])
            .Select(word => word.Value.Trim('\'', '"')).TakeWhile(word => !word.StartsWith('#')).ToList();
        var parsed = FrontDoor.Parse(_room.Surroundings, words);
        Assert.True(parsed.Errors.Count == 0, $"{file}: {line}: {string.Join("; ", parsed.Errors)}");
    }

    [Fact]
    public void The_docs_have_an_example_of_every_verb_and_a_word_on_every_flag()
    {
        var docs = SourceTree.Read("docs/cli.md");
        foreach (var verb in FrontDoor.Verbs(_room.Surroundings).Subcommands.Where(verb => !verb.Hidden))
        {
            Assert.Contains($"\nyoi {verb.Name}", docs, StringComparison.Ordinal);
            foreach (var flag in verb.Options.Where(option => option.Name is not "--help"))
                Assert.True(docs.Contains(flag.Name, StringComparison.Ordinal), $"docs/cli.md says nothing of yoi {verb.Name} {flag.Name}");
        }
    }

    [Fact]
    public void The_docs_list_every_exit_code()
    {
        var docs = SourceTree.Read("docs/cli.md");
        foreach (var field in typeof(ExitCode).GetFields(System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic))
            Assert.Matches($@"(?m)^\| {field.GetRawConstantValue()} \|", docs);
    }

    [Theory]
    [InlineData("bogus")]
    [InlineData("run", "x", "--max-turns", "0")]
    [InlineData("run", "x", "--output-format", "xml")]
    [InlineData("run", "x", "--write")]
    [InlineData("wait", "a", "--any", "--all")]
    [InlineData("wait", "a", "--timeout", "1e300")]
    [InlineData("wait", "a", "--timeout", "NaN")]
    [InlineData("wait", "a", "--timeout", "-1")]
    [InlineData("rm")]
    [InlineData("rm", "a", "--all-ended")]
    [InlineData("completion", "tcsh")]
    [InlineData("start")]
    public async Task A_wrong_command_line_is_2_with_words_on_stderr(params string[] args)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync(args));
        Assert.StartsWith("yoi: ", _room.Error, StringComparison.Ordinal);
        Assert.Empty(_room.Out);
    }

    [Theory]
    [InlineData("yoi run has no flag --modle; did you mean --model?", "run", "--modle", "x")]
    [InlineData("yoi run has no flag --deny-wirte=src; did you mean --deny-write?", "run", "x", "--deny-wirte=src")]
    [InlineData("there is no verb strat; did you mean start?", "strat", "a")]
    [InlineData("yoi run does not take \"the\"; a text of several words goes into quotes", "run", "fix", "the", "parser")]
    [InlineData("yoi ps has no flag -z\n`yoi ps --help`", "ps", "-z")]
    [InlineData("yoi ps does not take \"a\"\n", "ps", "a")]
    [InlineData("yoi start does not take \"fix\"; the task goes behind --task, in quotes", "start", "a", "fix", "it")]
    [InlineData("yoi scopes repair has no flag --jsno\n`yoi scopes repair --help` shows what there is", "scopes", "repair", "--jsno")]
    [InlineData("there is no verb version; did you mean --version?", "version")]
    [InlineData("yoi: --model stands behind `--`, where everything is text; put it before that", "start", "--", "a", "--model", "m")]
    [InlineData("serve is internal", "serve")]
    public async Task A_mistyped_word_is_named_with_what_was_meant(string words, params string[] args)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync(args));
        Assert.Contains(words, _room.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("run", "--", "--modle")]
    [InlineData("run", "- fix the parser")]
    [InlineData("run", "-")]
    public void Text_may_begin_like_a_flag_behind_two_dashes_or_as_a_list(params string[] args) =>
        Assert.Empty(WrongWords.In(FrontDoor.Parse(_room.Surroundings, args)));

    [Fact]
    public void Text_that_begins_with_an_at_sign_is_text_and_no_file()
    {
        var parsed = FrontDoor.Parse(_room.Surroundings, ["run", "@alice wants a summary"]);
        Assert.Empty(parsed.Errors);
        Assert.Equal("@alice wants a summary", parsed.GetValue<string>("TASK"));
    }

    public static TheoryData<Exception, int> Failures() => new()
    {
        { new CommandException(ExitCode.NotFound, "m"), 4 },
        { new ConfigException("f", ["m"]), 2 },
        { new ModelChoiceException("m"), 2 },
        { new LaunchException("ready", "m"), 3 },
        { new ScopeException("m"), 3 },
        { new StopException("m"), 3 },
        { new PodRefusedException(new ReplyError(ErrorCode.AlreadyRunning, "m")), 3 },
        { new PodRefusedException(new ReplyError(ErrorCode.DiskError, "m")), 7 },
        { new JournalException("m"), 7 },
        { new IOException("m"), 1 },
        { new OperationCanceledException("m"), 6 },
        { new InvalidOperationException("m"), 70 },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public void Each_kind_of_failure_has_its_exit_code_and_its_words(Exception failure, int code)
    {
        Assert.Equal(code, FrontDoor.Explain(_room.Surroundings, failure));
        Assert.Equal(failure is OperationCanceledException, _room.Error.Length == 0);
    }

    [Fact]
    public async Task A_run_without_a_model_says_what_to_set_and_starts_nothing()
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync("run", "task"));
        Assert.Contains("set ANTHROPIC_API_KEY", _room.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_room.Surroundings.Directories.Pods));
    }

    [Theory]
    [InlineData("--max-turns takes a number, not \"many\"", "run", "--max-turns", "many", "task")]
    [InlineData("--timeout takes a number, not \"soon\"", "wait", "helper", "--timeout", "soon")]
    [InlineData("--sandbox cannot be \"foo\"; it is one of auto, kernel, ", "run", "--sandbox", "foo", "task")]
    [InlineData("SHELL cannot be \"tcsh\"; it is one of bash, zsh, fish", "completion", "tcsh")]
    [InlineData("yoi attach needs NAME", "attach")]
    [InlineData("yoi config needs a verb behind it: schema", "config")]
    [InlineData("a Pod cannot be called \"a b\": ", "start", "a b", "--model", "openai/x", "--base-url", "http://127.0.0.1:1/v1")]
    public async Task A_wrong_value_is_named_in_one_line_without_a_type_of_ours(string words, params string[] args)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync(args));
        Assert.StartsWith("yoi: " + words, _room.Error, StringComparison.Ordinal);
        Assert.True(_room.Error.Trim().Split('\n').Length <= 2, _room.Error);
    }

    [Fact]
    public async Task A_run_without_a_task_at_a_terminal_says_so()
    {
        using var room = new CliRoom(inputIsTerminal: true);
        Assert.Equal(ExitCode.Usage, await room.RunAsync("run"));
        Assert.Contains("no task", room.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash"), InlineData("zsh"), InlineData("fish")]
    public async Task A_completion_script_asks_yoi_itself(string shell)
    {
        Assert.Equal(0, await _room.RunAsync("completion", shell));
        Assert.Contains("[suggest:", _room.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_path_and_a_pattern_are_never_taken_for_help()
    {
        var offered = FrontDoor.Parse(_room.Surroundings, [""]).GetCompletions().Select(item => item.Label).ToList();
        Assert.Contains("--help", offered);
        Assert.All(offered, label => Assert.Matches("^(--?[a-z-]+|[a-z]+)$", label));
    }

    [Fact]
    public void Verbs_are_completed()
    {
        var found = FrontDoor.Parse(_room.Surroundings, ["st"]).GetCompletions().Select(item => item.Label);
        Assert.Superset(new HashSet<string> { "start", "stop" }, found.ToHashSet());
    }

    [GeneratedRegex(@"^```(?:sh|bash|console)\n(?<code>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CodeBlock();

    [GeneratedRegex(@"^(?:\w+=\S+ )*(?:.* \| )?yoi(?: (?<command>.*))?$")]
    private static partial Regex ExampleLine();

    [GeneratedRegex(@"'[^']*'|""[^""]*""|\S+")]
    private static partial Regex Words();
}
