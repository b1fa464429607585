using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Cli;
using Yoi.Tests.Spawning;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Versions;

/// <summary>An older and a newer yoi side by side on one state root: what one has written the other reads, keeps, or refuses by that name.</summary>
public sealed class OlderAndNewerTests : IAsyncDisposable
{
    private const string Lead = "01a214b980ab7f6da23584d8a1adcd22", Kid = "01a214b98b8d7b998c46af15ffdecd83", Root = "/R";

    private readonly PodRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    internal static string Recorded(string name) => File.ReadAllText(Path.Combine(SourceTree.Root, "tests/Yoi.Tests/Data/formats/1", name));

    private string TableFile => _room.Directories.ScopeTable;

    /// <summary>The recorded table in this room, its two Pods alive until the locks are let go.</summary>
    private List<PodLock> Older(Func<string, string>? change = null)
    {
        using var table = _room.Table();
        table.Open();
        var text = Recorded("scopes.json").Replace(Root + "/y", _room.Path, StringComparison.Ordinal).Replace(Root + "/project", _room.Work, StringComparison.Ordinal);
        Directory.CreateDirectory(_room.Work + "/sub");
        PrivateFile.Replace(TableFile, System.Text.Encoding.UTF8.GetBytes(change?.Invoke(text) ?? text), durable: false);
        return [PodLock.TryTake(_room.Directories.Pod("lead", Lead))!, PodLock.TryTake(_room.Directories.Pod("kid", Kid))!];
    }

    private Task<RoomPod> Newer(string name, string target) => _room.Root(name: name, with: document => document with { Cwd = target, Scope = new([new ScopeRule(target, Permission.Write)], []) });

    [Fact, Trait("case", "T39")]
    public void The_recorded_table_says_what_it_said()
    {
        var locks = Older();
        using var table = _room.Table();
        var read = table.Read();
        Assert.Equal((1, 3, 2), (read.Version, read.Generation, read.Pods.Count));
        var (lead, kid) = (read.Find(Lead)!, read.Find(Kid)!);
        Assert.Equal(("lead", (string?)null, Lead, 0, false, 1L), (lead.Name, lead.SpawnerId, lead.RootId, lead.Depth, lead.Pending, lead.Generation));
        Assert.Equal(new ScopeRule(_room.Work, Permission.Write), Assert.Single(lead.Scope.Allow));
        Assert.Contains(new ScopeRule(_room.Work + "/.git/hooks", Permission.Write), lead.Scope.Deny);
        Assert.Equal(new PodLimits(200, 16, 4, 32), lead.Limits);
        Assert.Equal(("kid", Lead, Lead, 1, false, 2L), (kid.Name, kid.SpawnerId, kid.RootId, kid.Depth, kid.Pending, kid.Generation));
        Assert.Equal([new ScopeRule(_room.Work + "/sub", Permission.Write), new ScopeRule(_room.Work, Permission.Read)], kid.Scope.Allow);
        Assert.Equal(Access.Read, read.PolicyOf(Lead).AccessAt(_room.Work + "/sub/x"));
        Assert.Null(read.More ?? lead.More ?? kid.More);
        locks.ForEach(held => held.Dispose());
    }

    [Fact, Trait("case", "T39")]
    public async Task A_newer_yoi_starts_beside_living_Pods_of_an_older_one_and_nothing_of_them_changes()
    {
        var locks = Older();
        var before = Rows();
        var refused = await Assert.ThrowsAsync<LaunchException>(() => Newer("greedy", _room.Work + "/deeper"));
        Assert.Contains("held for writing by lead", refused.Message, StringComparison.Ordinal);
        var beside = Directory.CreateDirectory(_room.Path + "/beside").FullName;
        var newer = await Newer("newer", beside);
        Assert.False((await newer.Calls(RoomPod.WriteFile(beside + "/file")))[0].IsError);
        Assert.False((await newer.Spawn("below")).IsError);

        foreach (var (id, row) in before) Assert.Equal(row, Rows()[id]);
        Assert.Equal(4, _room.Rows.Count);

        // The older ones end as any Pod does: what they held is free.
        locks.ForEach(held => held.Dispose());
        var heir = await Newer("heir", _room.Work);
        Assert.False((await heir.Calls(RoomPod.WriteFile(_room.Work + "/sub/file")))[0].IsError);
    }

    [Fact, Trait("case", "T39")]
    public async Task What_a_later_yoi_of_the_same_version_says_besides_is_written_again_as_it_is()
    {
        var locks = Older(text => Changed(text, table =>
        {
            table["since"] = new JsonArray("a later one", new JsonArray());
            table["pods"]![0]!["colour"] = new JsonObject { ["red"] = 1 };
        }));
        using var table = _room.Table();
        var row = table.Read().Find(Lead)! with { PodId = new string('a', 32), RootId = new string('a', 32), Name = "other", Directory = _room.Directories.Pod("other", new string('a', 32)), Scope = ScopeRules.None, More = null };
        using var other = PodLock.TryTake(row.Directory)!;
        await table.AcquireAsync(row, _room.Ct);
        await table.ReleaseAsync(Kid, _room.Ct);

        var now = JsonNode.Parse(File.ReadAllText(TableFile))!;
        Assert.Equal("""["a later one",[]]""", now["since"]!.ToJsonString());
        Assert.Equal("""{"red":1}""", now["pods"]!.AsArray().Single(pod => (string?)pod!["name"] == "lead")!["colour"]!.ToJsonString());
        Assert.Equal(["lead", "other"], now["pods"]!.AsArray().Select(pod => (string?)pod!["name"]).Order());
        locks.ForEach(held => held.Dispose());
        await table.ReleaseAsync(row.PodId, _room.Ct);
    }

    [Theory, Trait("case", "T39")]
    [InlineData("version")]
    [InlineData("rule")]
    [InlineData("scope")]
    [InlineData("limits")]
    public async Task A_table_that_takes_away_what_this_yoi_cannot_know_is_left_to_the_newer_one(string where)
    {
        var locks = Older(text => Changed(text, table =>
        {
            var lead = table["pods"]![0]!;
            if (where == "version") table["version"] = 2;
            else if (where == "rule") lead["scope"]!["allow"]![0]!["only_on"] = "mondays";
            else if (where == "scope") lead["scope"]!["network"] = false;
            else lead["limits"]!["files"] = 3;
        }));
        var before = File.ReadAllBytes(TableFile);
        using (var table = _room.Table())
        {
            var failure = Assert.Throws<ScopeException>(table.Read);
            Assert.True(failure.IsNewer);
            Assert.Contains("Use the newer yoi that wrote it", failure.Message, StringComparison.Ordinal);
            Assert.True((await Assert.ThrowsAsync<ScopeException>(() => table.RepairAsync(_room.Ct))).IsNewer);
        }
        Assert.Contains("Use the newer yoi", (await Assert.ThrowsAsync<LaunchException>(() => Newer("late", _room.Path))).Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(TableFile));
        File.Delete(TableFile);
        File.Delete(_room.Directories.ScopeLock);
        locks.ForEach(held => held.Dispose());
        foreach (var pod in Directory.GetDirectories(_room.Directories.Pods)) Directory.Delete(pod, recursive: true);
    }

    [Fact, Trait("case", "T39")]
    public async Task The_recorded_launch_document_is_read_and_one_of_another_version_is_refused_with_what_helps()
    {
        var text = Recorded("launch.json");
        var document = JsonSerializer.Deserialize(text, LaunchJson.Default.LaunchDocument)!;
        Assert.Equal((1, "lead", Root + "/project", "scripted"), (document.Version, document.Name, document.Cwd, document.Model.Provider));
        Assert.Equal(text.Trim(), JsonSerializer.Serialize(document, LaunchJson.Default.LaunchDocument));
        using var answer = new MemoryStream();
        var later = text.Trim().Replace("\"version\":1,", "\"version\":2,", StringComparison.Ordinal) + "\n{}\n";
        Assert.Equal(1, await Runtime.PodHostProcess.RunAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(later)), answer, TimeProvider.System));
        Assert.Contains("yoi was replaced on disk; start the Pod again", System.Text.Encoding.UTF8.GetString(answer.ToArray()), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "T39")]
    public async Task A_Pod_that_an_older_yoi_serves_is_listed_asked_and_stopped_by_this_one()
    {
        using var room = new CliRoom();
        var pod = await room.DeadPodAsync("lead");
        using var held = PodLock.TryTake(pod.Directory)!;
        await using var older = OlderServer.Start(room.Surroundings.Directories.Socket(pod.PodId), shutdown: held.Dispose);

        await using (var client = await PodClient.ConnectAsync(room.Surroundings.Directories.Socket(pod.PodId), ct: _room.Ct))
        {
            Assert.Equal((1, "lead"), (client.Welcome.Version, client.Welcome.Pod));
            var status = await client.StatusAsync(_room.Ct);
            Assert.Equal((PodState.Idle, 19L, 3), (status.State, status.HeadSeq, status.Totals.Turns));
            var refused = await Assert.ThrowsAsync<PodRefusedException>(() => client.AskAsync(new Method.Restore("x"), _room.Ct));
            Assert.Equal(ErrorCode.UnknownMethod, refused.Error.Code);
        }
        Assert.Equal(0, await room.RunAsync("ps", "--json"));
        var row = Assert.Single(JsonDocument.Parse(room.Out).RootElement.EnumerateArray());
        Assert.Equal(("lead", "idle", 3), (row.GetProperty("name").GetString(), row.GetProperty("state").GetString(), row.GetProperty("turns").GetInt32()));
        Assert.Equal(0, await room.RunAsync("stop", "lead"));
        Assert.Equal(1, older.Shutdowns);
    }

    [Fact, Trait("case", "T39")]
    public async Task What_a_newer_Pod_answers_besides_is_passed_over()
    {
        using var room = new CliRoom();
        Directory.CreateDirectory(room.Surroundings.Directories.Runtime, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var socket = room.Surroundings.Directories.Socket(Lead);
        await using var newer = OlderServer.Start(socket, () => { }, line => "{\"event\":\"sparkle\",\"data\":{\"much\":true}}\n" + line
            .Replace("\"queued_inputs\":0", "\"queued_inputs\":0,\"mood\":\"good\"", StringComparison.Ordinal).Replace("\"kind\":\"pod_created\"", "\"kind\":\"pod_dreamt\"", StringComparison.Ordinal));
        await using var client = await PodClient.ConnectAsync(socket, ct: _room.Ct);
        Assert.Equal(19, (await client.StatusAsync(_room.Ct)).HeadSeq);
        var page = (ReplyResult.Page)await client.AskAsync(new Method.Read(0, 600), _room.Ct);
        Assert.IsType<Entry.Unknown>(JournalCodec.FromEvent(Assert.Single(page.Entries)));
    }

    private static string Changed(string text, Action<JsonNode> change)
    {
        var table = JsonNode.Parse(text)!;
        change(table);
        return table.ToJsonString();
    }

    private Dictionary<string, string> Rows() => JsonNode.Parse(File.ReadAllText(TableFile))!["pods"]!.AsArray().ToDictionary(pod => (string)pod!["pod_id"]!, pod => pod!.ToJsonString());
}
