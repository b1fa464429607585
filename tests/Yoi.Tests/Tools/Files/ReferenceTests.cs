using FsCheck.Fluent;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

/// <summary>The tools on a real tree against the reference model, for random sets of rules.</summary>
public sealed class ReferenceTests : IDisposable
{
    private readonly FileRoom _room = new();
    private readonly string[] _paths;

    public ReferenceTests()
    {
        string[] names = ["/a", "/b"];
        var directories = names.Prepend("").SelectMany(one => names.Select(two => one + two)).Append("").Distinct().ToList();
        directories.AddRange([.. directories.Where(directory => directory.Length == 4).SelectMany(directory => names.Select(name => directory + name))]);
        _paths = [.. directories.Select(directory => directory + "/c")];
        foreach (var path in _paths) _room.Put(path[1..], "0");
    }

    public void Dispose() => _room.Dispose();

    [Fact, Trait("case", "P21"), Trait("case", "P20")]
    public async Task Reading_writing_and_listing_equal_the_reference_for_random_rules()
    {
        var (random, written, refused) = (new Random(1), 0, 0);
        foreach (var path in _paths) await _room.Read(_room.W + path);
        await Seeded.CheckAsync(Seeded.Rules, 300, async rules =>
        {
            _room.Policy = new(new([.. rules.Allow.Select(Here)], [.. rules.Deny.Select(Here)]), [], 1);
            foreach (var path in _paths) Assert.Equal(Reference.Access(rules, path) > 0, await Works("Read", path));
            for (var i = 0; i < 2; i++)
            {
                var path = _paths[random.Next(_paths.Length)];
                var allowed = Reference.Access(rules, path) == 2;
                Assert.Equal(allowed, await Works("Write", path, random.Next().ToString(System.Globalization.CultureInfo.InvariantCulture)));
                if (allowed) written++;
                else refused++;
            }
            var seen = _paths.Where(path => Reference.Access(rules, path) > 0 && IsReached(rules, path)).Select(path => path[1..]).Order(StringComparer.Ordinal);
            Assert.Equal(seen, await Listed());
        });
        Assert.True(written > 20 && refused > 20, $"{written} written, {refused} refused");
    }

    /// <summary>A walk passes what may be read, and what leads to a rule's target that may be.</summary>
    private static bool IsReached(ScopeRules rules, string path) => Above(path).All(directory => Reference.Access(rules, directory) > 0
        || rules.Allow.Any(rule => Yoi.Runtime.Scopes.ScopePath.IsAtOrBelow(rule.Target, directory) && Reference.Access(rules, rule.Target) > 0));

    private static IEnumerable<string> Above(string path)
    {
        for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1)) yield return path[..slash];
        yield return "/";
    }

    private ScopeRule Here(ScopeRule rule) => rule with { Target = rule.Target == "/" ? _room.W : _room.W + rule.Target };

    private async Task<bool> Works(string tool, string path, string? content = null)
    {
        var before = File.ReadAllText(_room.W + path);
        try
        {
            await (content is null ? _room.Run(tool, ("file_path", _room.W + path)) : _room.Run(tool, ("file_path", _room.W + path), ("content", content)));
            Assert.Equal(content ?? before, File.ReadAllText(_room.W + path));
            return true;
        }
        catch (ToolFailure)
        {
            Assert.Equal(before, File.ReadAllText(_room.W + path));
            return false;
        }
    }

    private async Task<List<string>> Listed()
    {
        try
        {
            var found = (await _room.Run("Glob", ("pattern", "**/c"), ("path", _room.W))).Content ?? "";
            return [.. found.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];
        }
        catch (ToolFailure)
        {
            return []; // Not even the top may be looked into.
        }
    }
}
