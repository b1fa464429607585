using System.Text.RegularExpressions;
using Xunit;

namespace Yoi.Tests.Structure;

public sealed partial class FailpointTests
{
    [Fact]
    public void A_step_is_passed_by_its_declared_name()
    {
        var passes = SourceTree.Below("src").SelectMany(file => Pass().Matches(file.Code).Select(match => (file, match)))
            .Where(pass => pass.file.FileName != "Failpoint.cs");
        Assert.All(passes, pass => Assert.StartsWith("Failpoints.", pass.match.Groups["argument"].Value, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_step_that_is_declared_is_passed_somewhere()
    {
        var passed = SourceTree.Below("src").SelectMany(file => Pass().Matches(file.Code).Select(match => match.Groups["argument"].Value)).ToHashSet(StringComparer.Ordinal);
        var declared = typeof(Runtime.Journal.Failpoints).GetFields(System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic).Select(field => "Failpoints." + field.Name);
        Assert.Equal([], declared.Except(passed));
    }

    [Fact]
    public void A_file_that_writes_renames_cuts_or_removes_something_passes_a_step_or_makes_nothing_that_must_last()
    {
        Dictionary<string, string> passing = new(StringComparer.Ordinal)
        {
            ["DemoSample.cs"] = "a place that the demo throws away",
            ["DemoCommand.cs"] = "a place that the demo throws away",
            ["SoundVerdict.cs"] = "remembers what can be found out again",
            ["PodLock.cs"] = "the file with which locks are tried",
            ["TokenBudget.cs"] = "a sum of the journal, written anew at each start",
            ["KeptShell.cs"] = "a file in memory, which a command is handed in",
            ["PrivatePlaces.cs"] = "what commands have for themselves, emptied at each start",
            ["CommandOutput.cs"] = "what commands have for themselves, emptied at each start",
            ["SpareFile.cs"] = "FileReplacement and StateRoot pass a step before it gives a name",
            ["SandboxTrial.cs"] = "a place that a trial throws away",
            ["DelegatedGroup.cs"] = "control groups",
            ["CommandGroup.cs"] = "control groups",
            ["TokenFile.cs"] = "the runtime directory, which may vanish at any time",
            ["YoiDirectories.cs"] = "the runtime directory, which may vanish at any time",
            ["StderrLog.cs"] = "a log",
        };
        var silent = SourceTree.Below("src").Where(file => !file.Path.Contains("/Linux/", StringComparison.Ordinal) && Change().IsMatch(file.Code) && !Pass().IsMatch(file.Code)).Select(file => file.FileName);
        Assert.Equal(passing.Keys.Order(StringComparer.Ordinal), silent.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"\b(Libc|Sys)\.(Rename|RenameAt|RenameWithoutReplacing|HardLink|LinkAt|Unlink|UnlinkAt|Ftruncate|Fsync|Fdatasync|Mkdir|MakeDirectoryAt)\(|\bRandomAccess\.(Write|SetLength)\(|\bFile\.(Delete|Move|Copy|Create|Replace|WriteAll\w+)\(|\bDirectory\.(Delete|Move|CreateDirectory)\(")]
    private static partial Regex Change();

    [GeneratedRegex(@"\bFailpoint\.Pass\(\s*(?<argument>[^)]*)\)")]
    private static partial Regex Pass();
}
