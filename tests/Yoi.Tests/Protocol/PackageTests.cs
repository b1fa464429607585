using System.Diagnostics;
using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;
using Yoi.Tests.Socket;
using Yoi.Tests.Spawning;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Protocol;

/// <summary>The package as somebody else's program gets it.</summary>
public sealed partial class PackageTests(ITestOutputHelper output)
{
    /// <summary>The ten lines of a README, to the letter.</summary>
    private static string Example(string file) => Block().Match(SourceTree.Read(file)).Groups["code"].Value;

    [Fact]
    public void Both_readmes_show_the_same_lines()
    {
        Assert.Contains("PodClient.StartAsync", Example("README.md"), StringComparison.Ordinal);
        Assert.Equal(Example("README.md"), Example("src/Yoi.Protocol/README.md"));
    }

    [Fact]
    public async Task The_package_is_whole_and_the_lines_of_the_readme_compile_against_it_and_drive_a_pod()
    {
        await using var place = new Place();
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Name; // artifacts/bin/Yoi.Tests/debug
        await place.DotnetAsync(SourceTree.Root, "pack", "src/Yoi.Protocol", "--no-build", "-c", configuration, "-o", place.Feed, "--nologo", "-v", "q");
        var package = Assert.Single(Directory.GetFiles(place.Feed, "*.nupkg"));
        var version = AssertIsWhole(package);

        // A program of somebody else: nothing but the package, and the lines as they stand.
        await File.WriteAllTextAsync(place.App + "/Program.cs", Example("README.md"), ServedRoom.Ct);
        await File.WriteAllTextAsync(place.App + "/app.csproj", $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup>
              <ItemGroup><PackageReference Include="Yoi.Protocol" Version="{version}" /></ItemGroup>
            </Project>
            """, ServedRoom.Ct);
        await File.WriteAllTextAsync(place.App + "/nuget.config", $"""
            <configuration><packageSources><clear /><add key="here" value="{place.Feed}" /></packageSources></configuration>
            """, ServedRoom.Ct);
        await place.DotnetAsync(place.App, "build", "--nologo", "-v", "q", "-o", place.App + "/out");
        var said = await place.RunAsync(place.App, place.App + "/out/app");
        output.WriteLine(said);
        Assert.Equal("It is a sample.\nIt is a sample.", said);
        var journal = await File.ReadAllTextAsync(Directory.GetFiles(place.Root.Directories.Pods, "journal.jsonl", SearchOption.AllDirectories).Single(), ServedRoom.Ct);
        Assert.Contains("And who wrote most of it?", journal, StringComparison.Ordinal);
        await Eventually.Holds(() => place.Living == 0, RealPod.Patience); // It was asked to end, and does.
    }

    /// <returns>The package's version.</returns>
    private static string AssertIsWhole(string package)
    {
        using var zip = ZipFile.OpenRead(package);
        string[] names = [.. zip.Entries.Select(entry => entry.FullName)];
        Assert.Superset(new HashSet<string> { "README.md", "lib/net10.0/Yoi.Protocol.dll", "lib/net10.0/Yoi.Protocol.xml" }, names.ToHashSet());
        using var nuspec = zip.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        var metadata = XDocument.Load(nuspec).Root!.Elements().Single();
        string? Value(string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value;
        Assert.Equal(("Yoi.Protocol", "README.md", "Apache-2.0"), (Value("id"), Value("readme"), Value("license")));
        Assert.Contains("Yoi", Value("description"), StringComparison.Ordinal);
        Assert.DoesNotContain(metadata.Descendants(), element => element.Name.LocalName == "dependency");
        using var xml = new StreamReader(zip.GetEntry("lib/net10.0/Yoi.Protocol.xml")!.Open());
        Assert.Contains("M:Yoi.Protocol.PodClient.AttachAsync", xml.ReadToEnd(), StringComparison.Ordinal);
        return Value("version")!;
    }

    [GeneratedRegex("^```csharp\n(?<code>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    /// <summary>A feed, a program and a state root of their own, with <c>yoi</c> on the PATH.</summary>
    private sealed class Place : IAsyncDisposable
    {
        internal Place()
        {
            (Feed, App) = (Directory.CreateDirectory(Root.Path + "/feed").FullName, Directory.CreateDirectory(Root.Path + "/app").FullName);
            Directory.CreateDirectory(Root.Directories.Config);
            File.WriteAllText(Root.Path + "/script.jsonc", """{"pods": {"*": {"replies": [{"text": ["It is ", "a sample."], "repeat": true}]}}}""");
            File.WriteAllText(Root.Directories.Config + "/yoi.jsonc", $$"""{"model": "scripted:{{Root.Path}}/script.jsonc"}""");
        }

        internal SpawningRoot Root { get; } = new();

        internal string Feed { get; }

        internal string App { get; }

        internal int Living => new Runtime.Spawning.PodRegistry(Root.Directories).All().Count(pod => pod.IsAlive);

        internal Task<string> DotnetAsync(string directory, params string[] arguments) => RunAsync(directory, ["dotnet", .. arguments]);

        internal async Task<string> RunAsync(string directory, params string[] command)
        {
            var start = new ProcessStartInfo(command[0], command[1..]) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["YOI_HOME"] = Root.Path;
            start.Environment["PATH"] = $"{Path.GetDirectoryName(RealPod.Yoi)}:{Environment.GetEnvironmentVariable("PATH")}";
            start.Environment["NUGET_PACKAGES"] = Root.Path + "/packages"; // The package under test is in no cache.
            start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // No process stays.
            start.Environment["UseSharedCompilation"] = "false";
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync(ServedRoom.Ct);
            var text = await process.StandardOutput.ReadToEndAsync(ServedRoom.Ct);
            await process.WaitForExitAsync(ServedRoom.Ct);
            Assert.True(process.ExitCode == 0, $"{string.Join(' ', command)}: {text}{await error}");
            return text.Trim();
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var pod in new Runtime.Spawning.PodRegistry(Root.Directories).All())
            {
                using var process = pod.IsAlive ? pod.FindProcess() : null;
                if (process?.Signal(Runtime.Linux.Libc.SigKill) == true) await process.Exited.WaitAsync(RealPod.Patience, CancellationToken.None);
            }
            Root.Dispose();
        }
    }
}
