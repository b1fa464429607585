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

    [GeneratedRegex(@"\bFailpoint\.Pass\(\s*(?<argument>[^)]*)\)")]
    private static partial Regex Pass();
}
