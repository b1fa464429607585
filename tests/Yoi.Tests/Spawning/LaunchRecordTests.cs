using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

public sealed class LaunchRecordTests : IAsyncDisposable
{
    private readonly PodRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task What_a_Pod_was_launched_with_is_rebuilt_from_its_journal_member_by_member()
    {
        var root = await _room.Root(with: document => document with
        {
            Role = "You are thorough.",
            Limits = new PodLimits(7, 3, 2, 9),
            Timing = new ModelTiming(1, 2, 3, 4, 5),
            KeySource = "env:NO_KEY",
            Network = true,
            PlatformSet = ["/opt/more"],
            Commands = new CommandLimits(1, 2, 3, 4, 5, 6),
            Model = new ModelChoice("scripted", "scripted", null, 100, null, 7, "mine"),
            Scope = document.Scope with { Deny = [new ScopeRule(_room.Work + "/no", Permission.Write, Recursive: false)] },
        });

        var rebuilt = LaunchRecord.Read(root.Known)!.Document(_room.Directories, new Restoration(false, [])) with { Restored = null };

        Assert.Equal(Json(root.Document), Json(rebuilt));
        static string Json(LaunchDocument document) => JsonSerializer.Serialize(document, LaunchJson.Default.LaunchDocument);
    }
}
