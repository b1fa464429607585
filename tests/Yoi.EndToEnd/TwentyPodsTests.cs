using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>Twenty Pods at once: each is a process of its own, and none keeps another or its human waiting.</summary>
public sealed class TwentyPodsTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task Twenty_Pods_work_at_once_all_answer_and_nothing_of_them_is_left()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var names = Enumerable.Range(1, 20).Select(number => $"pod-{number}").ToList();
        foreach (var name in names) Directory.CreateDirectory($"{_room.Project}/{name}");
        var started = await Task.WhenAll(names.Select(name => _room.RunAsync("start", name, "--write", name, "--task", "SLOW 600000", "--json")));
        Assert.All(started, one => one.Expect(0));
        Assert.Equal(20, started.Select(one => one.Json.GetProperty("pid").GetInt32()).Distinct().Count());

        // A run that is cancelled before it asks has had no turn, so each is waited for.
        var pods = await _room.PodsAsync(pods => pods.Values.All(row => (row.GetProperty("state").GetString(), row.GetProperty("turns").GetInt32()) == ("running", 1)));
        Assert.Equal(names.Order(), pods.Keys.Order());
        Assert.Equal(20, (await _room.RunAsync("scopes", "--json")).Expect(0).Json.EnumerateArray().Count(row => row.GetProperty("kind").GetString() == "allow"));
        var ct = TestContext.Current.CancellationToken;
        var clients = await Task.WhenAll(names.Select(name => PodClient.ConnectAsync(pods[name].GetProperty("socket").GetString()!, limit: YoiProcess.Limit, ct: ct)));
        foreach (var client in clients)
        {
            Assert.Equal(PodState.Running, (await client.StatusAsync(ct)).State);
            await client.RunAsync($"CALL Write {{\"file_path\":\"{_room.Project}/{client.Welcome.Pod}/new.txt\",\"content\":\"by {client.Welcome.Pod}\"}}", SendMode.Queue, ct);
            await client.CancelAsync(ct);
        }
        Assert.All((await _room.RunAsync(["wait", .. names, "--timeout", "60", "--json"])).Expect(0).Json.EnumerateArray(), row => Assert.True(row.GetProperty("done").GetBoolean()));
        Assert.All(names, name => Assert.Equal("by " + name, _room.Read($"project/{name}/new.txt")));
        foreach (var client in clients) await client.DisposeAsync();

        Assert.Equal(20, (await _room.RunAsync(["stop", .. names, "--json"])).Expect(0).Json.GetArrayLength());
        Assert.Empty(_room.Processes());
        Assert.All(await _room.PodsAsync(), row => Assert.Equal(("ended", 3), (row.Value.GetProperty("state").GetString(), row.Value.GetProperty("turns").GetInt32())));
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.Equal(20, (await _room.RunAsync("rm", "--all-ended")).Expect(0).Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }
}
