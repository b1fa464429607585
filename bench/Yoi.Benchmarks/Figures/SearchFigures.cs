using System.Globalization;
using System.Text;

namespace Yoi.Benchmarks.Figures;

/// <summary>Grep beside ripgrep, on a tree that both know well.</summary>
internal static class SearchFigures
{
    private const string Section = "Searching 4,000 files of 7 KiB";
    private const string Program = "/usr/bin/rg";
    private const int Files = 4_000, Directories = 200, Lines = 110, Seed = 17, Bytes = 7 * 1024;

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        using var place = Place.InMemory();
        var tree = place.Folder("tree");
        Plant(tree);
        Count(tree);
        await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead") with { Cwd = tree });
        foreach (var (what, pattern) in new[] { ("a word in 40 files", "needle"), ("a word in all files", "walk"), ("a pattern in 40 files", "need[a-z]+ [0-9]+"), ("a pattern in all files", "[a-z]+lk [0-9]+") })
        {
            foreach (var (mode, flag) in new[] { ("files_with_matches", "-l"), ("content", "-n") })
            {
                var call = $$"""{"pattern":"{{pattern}}","output_mode":"{{mode}}"}""";
                var (grep, empty, other) = (new Samples(), new Samples(), new Samples());
                await pod.CallAsync("Grep", call);
                for (var i = 0; i < 15; i++)
                {
                    grep.Add(await pod.CallAsync("Grep", call));
                    empty.Add(await pod.EmptyCallAsync());
                    if (File.Exists(Program)) other.Add(Plain.Run([Program, "--no-config", "--hidden", flag, pattern, tree], Plain.Environs()));
                }
                report.Add(Section, $"{what}, {mode}", binary, grep.Less(empty.Median));
                if (File.Exists(Program)) report.Add(Section, $"… ripgrep alone, {flag}, {what}", binary, other);
            }
        }
    }

    /// <summary>What the rows say of the tree.</summary>
    private static void Count(string tree)
    {
        string[] texts = [.. Directory.GetFiles(tree, "*.txt", SearchOption.AllDirectories).Select(File.ReadAllText)];
        Claim.Exactly(Files, texts.Length, "files");
        Claim.AtLeast(Bytes, texts.Sum(text => text.Length) / Files, "bytes in a file");
        Claim.Exactly(40, texts.Count(text => text.Contains("needle", StringComparison.Ordinal)), "files with the rare word");
        Claim.Exactly(Files, texts.Count(text => text.Contains("walk", StringComparison.Ordinal)), "files with the frequent word");
    }

    private static void Plant(string tree)
    {
        var random = new Random(Seed);
        string[] endings = ["", "s", "ing", "ed"];
        string[] words = [.. Enumerable.Range(0, 600).Select(_ => string.Concat(Enumerable.Range(0, random.Next(3, 9)).Select(_ => (char)random.Next('a', 'z' + 1)))), "walk"];
        File.WriteAllText(tree + "/.gitignore", "*.tmp\n/out/\n");
        Directory.CreateDirectory(tree + "/.git");
        for (var i = 0; i < Files; i++)
        {
            var text = new StringBuilder();
            for (var line = 0; line < Lines; line++)
            {
                for (var word = 0; word < 8; word++) text.Append(words[random.Next(words.Length)]).Append(endings[random.Next(endings.Length)]).Append(' ');
                text.Append(CultureInfo.InvariantCulture, $"walk {line}\n");
            }
            if (i % 100 == 0) text.Append(CultureInfo.InvariantCulture, $"a needle {i}\n");
            File.WriteAllText(string.Create(CultureInfo.InvariantCulture, $"{Directory.CreateDirectory($"{tree}/part{i % 10}/d{i % Directories}").FullName}/file{i}.txt"), text.ToString());
        }
    }
}
