using System.Diagnostics;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

/// <summary>The same tests of door and tools once more, run by somebody who may not do everything anyway.</summary>
public sealed partial class OrdinaryUserTests
{
    private const string Nobody = "65534";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    [Fact]
    [Trait("case", "P01")]
    [Trait("case", "P05")]
    [Trait("case", "P16")]
    public async Task What_holds_for_root_holds_for_an_ordinary_user()
    {
        if (Environment.UserName != "root") Assert.Skip("this run is an ordinary user's already");
        // The program may lie where only root may look.
        var root = Directory.CreateTempSubdirectory("yoi-nobody-").FullName;
        try
        {
            Copy(AppContext.BaseDirectory, root + "/program");
            Directory.CreateDirectory(root + "/temp");
            await RunAsync("chmod", ["-R", "a+rX,u+w", root]);
            await RunAsync("chmod", ["a+rwx", root + "/temp"]);
            await RunAsync("chmod", ["a+x", root + "/program/Yoi.Tests"]);

            var (code, said) = await RunAsync(
                "setpriv",
                [
                    "--reuid", Nobody, "--regid", Nobody, "--clear-groups", root + "/program/Yoi.Tests", "--no-progress", "--no-ansi",
                    "--results-directory", root + "/temp", "--filter-class", .. Classes(),
                ],
                ("TMPDIR", root + "/temp"), ("HOME", root + "/temp"), ("DOTNET_EnableDiagnostics", "0"));
            TestContext.Current.TestOutputHelper?.WriteLine(said);
            Assert.Equal(0, code);
            Assert.InRange(int.Parse(Succeeded().Match(said).Groups["count"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture), 200, int.MaxValue);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static IEnumerable<string> Classes() => typeof(OrdinaryUserTests).Assembly.GetTypes()
        .Where(type => type.Namespace == typeof(OrdinaryUserTests).Namespace && type.IsPublic && type != typeof(OrdinaryUserTests))
        .Concat([typeof(DoorTests), typeof(DoorRaceTests)]).Select(type => type.FullName!);

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.EnumerateFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private static async Task<(int Code, string Said)> RunAsync(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            var said = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, said);
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }

    [GeneratedRegex(@"succeeded: (?<count>\d+)")]
    private static partial Regex Succeeded();
}
