using System.Text.RegularExpressions;
using Xunit;

namespace Yoi.Tests.Structure;

public sealed partial class HouseRuleTests
{
    [Fact]
    public void No_source_file_is_longer_than_400_lines() => Assert.Empty(SourceTree.CSharp.SelectMany(HouseRules.TooLong));

    [Fact]
    public void A_namespace_is_its_folder() => Assert.Empty(SourceTree.CSharp.SelectMany(HouseRules.WrongNamespace));

    [Fact]
    public void No_name_says_nothing() => Assert.Empty(SourceTree.CSharp.SelectMany(HouseRules.EmptyNames));

    [Fact]
    [Trait("case", "P01")]
    public void Tools_and_Turns_reach_files_through_the_one_door_only() =>
        Assert.Empty(SourceTree.Below("src/Yoi.Runtime/Tools").Concat(SourceTree.Below("src/Yoi.Runtime/Turns"))
            .Where(file => file.FileName != "Resources.cs").SelectMany(HouseRules.PathApis));

    [Fact]
    public void No_exception_is_swallowed() => Assert.Empty(SourceTree.Below("src").SelectMany(HouseRules.Swallowed));

    [Fact]
    [Trait("case", "T42")]
    public void No_test_sleeps() => Assert.Empty(SourceTree.Below("tests").SelectMany(HouseRules.Sleeps));

    [Fact]
    public void Every_skip_is_on_the_list_with_its_reason()
    {
        var allowed = SourceTree.Read("tests/allowed-skips.txt").Split('\n').Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ')[0]).ToHashSet();
        Assert.Empty(SourceTree.Below("tests").Where(file => !allowed.Contains(file.Path)).SelectMany(HouseRules.Skips));
    }

    [Fact]
    public void What_may_be_skipped_in_the_whole_check_are_tests_that_there_are_each_with_a_reason()
    {
        foreach (var line in SourceTree.Read(".ci/skips").Split('\n').Where(line => line.Length > 0 && line[0] != '#'))
        {
            Assert.Matches(@"^[\w *-]+ \| (\w+\.)+\w+(\([^|]*\))? \| \w[^|]+$", line);
            var names = line.Split('|')[1].Trim().Split('(', '*')[0].Split('.');
            Assert.Contains(SourceTree.Below("tests"), file => file.FileName == names[^2] + ".cs" && file.Code.Contains(" " + names[^1], StringComparison.Ordinal));
        }
    }

    [Fact]
    public void No_file_names_the_machine_it_was_written_on()
    {
        var text = SourceTree.Files().Where(path => Readable().IsMatch(path) && !path.StartsWith(".ci/", StringComparison.Ordinal));
        Assert.Empty(text.SelectMany(path => SourceTree.Read(path).Split('\n')
            .Select((line, index) => (line, index))
            .Where(item => MachinePath().IsMatch(item.line))
            .Select(item => $"{path}:{item.index + 1}: {item.line.Trim()}")));
    }

    [Theory]
    [InlineData("try { F(); } catch { }", 1)]
    [InlineData("try { F(); } catch (IOException) { }", 1)]
    [InlineData("try { F(); } catch (IOException) { /* gone already, which is what was wanted */ }", 0)]
    [InlineData("try { F(); } catch (Exception) { /* whatever */ }", 1)]
    [InlineData("try { F(); } catch (Exception e) { Log(e); }", 1)]
    [InlineData("try { F(); } catch (Exception e) when (e is not IOException) { Log(e); }", 1)]
    [InlineData("try { F(); } catch (Exception e) when (e is IOException or X { Y: (1, 2) }) { Log(e); }", 0)]
    [InlineData("try { F(); } catch { if (x) { G(); } throw; }", 0)]
    [InlineData("var text = \"catch { }\"; // catch { }", 0)]
    public void The_check_sees_a_swallowed_exception(string code, int count) =>
        Assert.Equal(count, HouseRules.Swallowed(new SourceFile("src/X/Y.cs", code)).Count());

    [Fact]
    public void A_boundary_may_catch_everything_but_not_swallow_it()
    {
        Assert.Empty(HouseRules.Swallowed(new SourceFile("src/Yoi.Runtime/Tools/ToolRunner.cs", "try { } catch (Exception e) { Log(e); }")));
        Assert.Single(HouseRules.Swallowed(new SourceFile("src/Yoi.Runtime/Tools/ToolRunner.cs", "try { } catch (Exception) { }")));
    }

    [Theory]
    [InlineData("File.ReadAllText(path)", true)]
    [InlineData("System.IO.File.Open(path)", true)]
    [InlineData("new FileStream(handle, FileAccess.Read)", true)]
    [InlineData("Path.GetFullPath(path)", true)]
    [InlineData("IO.File.Delete(path)", true)]
    [InlineData("global::System.IO.Directory.Delete(path)", true)]
    [InlineData("using static System.IO.File;", true)]
    [InlineData("using F = System.IO.File;", true)]
    [InlineData("new StreamReader(path)", true)]
    [InlineData("Libc.Open(path, 0, 0)", true)]
    [InlineData("Process.Start(program)", true)]
    [InlineData("Path.GetFileName(path)", false)]
    [InlineData("pod.Directory.Length", false)]
    [InlineData("NodeKind.File", false)]
    public void The_check_sees_a_way_around_the_door(string code, bool found) =>
        Assert.Equal(found, HouseRules.PathApis(new SourceFile("src/Yoi.Runtime/Tools/X.cs", code)).Any());

    [Fact]
    public void The_other_checks_see_what_they_look_for()
    {
        Assert.Single(HouseRules.Sleeps(new SourceFile("tests/X.cs", "await " + "Task" + ".Delay(1);")));
        Assert.Single(HouseRules.EmptyNames(new SourceFile("src/X/PodManager.cs", "internal sealed class PodManager;")));
        Assert.Single(HouseRules.TooLong(new SourceFile("src/X/Y.cs", new string('\n', 401) + "x")));
        Assert.Empty(HouseRules.TooLong(new SourceFile("src/X/Y.cs", string.Concat(Enumerable.Repeat("x\n", 400)))));
        Assert.Single(HouseRules.WrongNamespace(new SourceFile("src/Yoi.Runtime/Scopes/Y.cs", "namespace Yoi.Runtime;")));
        Assert.Empty(HouseRules.WrongNamespace(new SourceFile("src/Yoi.Runtime/Scopes/Y.cs", "namespace Yoi.Runtime.Scopes;")));
        Assert.Matches(MachinePath(), "see .." + "/shared/X");
    }

    [Theory]
    [InlineData("a // b", "a     ")]
    [InlineData("a /* b */ c", "a         c")]
    [InlineData("f(\"a\\\"b\", c)", "f(\"    \", c)")]
    [InlineData("$\"a{b[\"c\"]}d\" e", "$\" {b[\" \"]} \" e")]
    [InlineData("@\"a\"\"b\" c", "@\"    \" c")]
    [InlineData("\"\"\"a \" b\"\"\" c", "\"\"\"     \"\"\" c")]
    [InlineData("'\"' + '\\'' + x", "' ' + '  ' + x")]
    public void Code_is_told_from_prose(string text, string code) => Assert.Equal(code, CodeText.Strip(text));

    [GeneratedRegex(@"\.(?:cs|csproj|props|targets|slnx|md|json|jsonc|txt|sh|editorconfig|gitignore)$|(?:^|/)(?:Makefile|NOTICE|LICENSE)$")]
    private static partial Regex Readable();

    [GeneratedRegex(@"/(?:work|farm)/[a-z.]+/|\.\./sha[r]ed\b|/tmp/w[t]/|/tmp/yo[i]/")]
    private static partial Regex MachinePath();
}
