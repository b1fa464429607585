using System.Xml.Linq;
using Xunit;

namespace Yoi.Tests.Structure;

public sealed class RoomTests
{
    [Fact]
    public void A_room_names_only_the_rooms_it_may()
    {
        var runtime = SourceTree.Below("src/Yoi.Runtime").ToList();
        var types = Rooms.Types(runtime);
        Assert.True(runtime.Count > 10, "the sources were not found");
        Assert.Empty(runtime.SelectMany(file => Rooms.Trespasses(file, types)));
    }

    [Fact]
    public void Every_folder_of_the_runtime_is_a_room()
    {
        var folders = SourceTree.Below("src/Yoi.Runtime").Select(file => Rooms.Of(file.Path)).OfType<string>().Distinct();
        Assert.Empty(folders.Except(Rooms.MayName.Keys));
    }

    [Fact]
    public void Nothing_but_PodHost_stands_at_the_runtime_s_root() =>
        Assert.Empty(SourceTree.Below("src/Yoi.Runtime")
            .Where(file => Rooms.Of(file.Path) is null && !file.FileName.StartsWith("PodHost", StringComparison.Ordinal))
            .Select(file => file.Path));

    [Fact]
    public void Rooms_form_no_circle()
    {
        var left = Rooms.MayName.ToDictionary(pair => pair.Key, pair => pair.Value.ToHashSet(), StringComparer.Ordinal);
        while (left.FirstOrDefault(pair => pair.Value.Count == 0).Key is { } free)
        {
            left.Remove(free);
            foreach (var names in left.Values) names.Remove(free);
        }
        Assert.Empty(left.Keys);
    }

    [Fact]
    public void The_screen_knows_the_protocol_only()
    {
        Assert.Empty(SourceTree.Below("src/Yoi.Terminal").Where(file => file.Code.Contains("Yoi.Runtime", StringComparison.Ordinal)).Select(file => file.Path));
        Assert.Equal(["../Yoi.Protocol/Yoi.Protocol.csproj"], References("src/Yoi.Terminal/Yoi.Terminal.csproj", "ProjectReference"));
    }

    [Fact]
    public void The_protocol_knows_nobody()
    {
        Assert.Empty(SourceTree.Below("src/Yoi.Protocol")
            .Where(file => file.Code.Contains("Yoi.Runtime", StringComparison.Ordinal) || file.Code.Contains("Yoi.Terminal", StringComparison.Ordinal))
            .Select(file => file.Path));
        Assert.Empty(References("src/Yoi.Protocol/Yoi.Protocol.csproj", "ProjectReference"));
        Assert.Empty(References("src/Yoi.Protocol/Yoi.Protocol.csproj", "PackageReference"));
    }

    [Theory]
    [InlineData("Journal", "using Yoi.Runtime.Scopes;", true)]
    [InlineData("Journal", "using Table = Yoi.Runtime.Scopes.ScopeTable;", true)]
    [InlineData("Journal", "var table = Scopes.ScopeTable.Open();", true)]
    [InlineData("Journal", "global::Yoi.Runtime.Scopes.ScopeTable table;", true)]
    [InlineData("Journal", "using Yoi.Runtime.Linux; using Yoi.Protocol;", false)]
    [InlineData("Journal", "// using Yoi.Runtime.Scopes;", false)]
    [InlineData("Journal", "var n = Scopes.Count;", false)]
    [InlineData("Scopes", "using Yoi.Runtime.Journal;", false)]
    [InlineData("Linux", "using Yoi.Runtime.Journal;", true)]
    public void The_check_sees_a_trespass_however_it_is_written(string room, string code, bool trespass)
    {
        var types = new[] { ("Scopes", "ScopeTable") }.ToLookup(pair => pair.Item1, pair => pair.Item2);
        Assert.Equal(trespass, Rooms.Trespasses(new SourceFile($"src/Yoi.Runtime/{room}/X.cs", code), types).Any());
    }

    private static IEnumerable<string> References(string project, string kind) =>
        XDocument.Parse(SourceTree.Read(project)).Descendants(kind).Select(reference => (string)reference.Attribute("Include")!);
}
