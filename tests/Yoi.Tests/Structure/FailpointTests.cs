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

    [GeneratedRegex(@"\bFailpoint\.Pass\(\s*(?<argument>[^)]*)\)")]
    private static partial Regex Pass();
}
