using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>The kernel ends a child because memory ran out: for real, in a control group of the test's own.</summary>
public sealed class OutOfMemoryTests : IAsyncLifetime
{
    private const int LimitMb = 256;

    private readonly PodRoom _room = new();
    private MemoryGroup? _group;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _room.DisposeAsync();
        if (_group is not null) await _group.RemoveAsync();
    }

    [Fact, Trait("case", "F12")]
    public async Task A_child_that_the_kernel_ends_for_want_of_memory_is_named_as_that_and_one_that_is_killed_is_not()
    {
        _group = MemoryGroup.TryMake(LimitMb);
        if (_group is null) Assert.Skip(MemoryGroup.Needed);
        Needs.Programs("/usr/bin/python3");
        var root = await _room.Root();
        _group.Add(root.Launched.Pid);
        foreach (var name in (string[])["large", "other", "orphan"]) Assert.False((await root.Spawn(name)).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");

        await _room.Kill(root.Child("other"));
        var killed = Ended(await root.Until(entry => entry is Entry.ChildEnded { Child: "other" }));
        Assert.Equal((PodEnd.Crashed, "signal 9"), (killed.Reason, killed.Detail));

        await EndForWantOfMemory(root.Child("large"));
        var ended = Ended(await root.Until(entry => entry is Entry.ChildEnded { Child: "large" }));
        Assert.Equal((PodEnd.Killed, "out of memory: the kernel ended it"), (ended.Reason, ended.Detail));
        await root.Until(entry => entry is Entry.News { Child: "large" } news && news.Text.Contains("out of memory", StringComparison.Ordinal));
        Assert.Contains("out of memory", (await root.Call("ListPods")).Content, StringComparison.Ordinal);
        var own = Assert.Single(root.Child("large").Journal.Each(typeof(Entry.PodEnded)));
        Assert.Equal(PodEnd.Killed, ((Entry.PodEnded)own.Entry).Reason);

        // Whose child it is no more, the kernel does not tell how it ended, and neither is it guessed.
        var orphan = root.Child("orphan");
        await root.Killed();
        await root.Client.DisposeAsync();
        var back = await _room.Restore(root);
        await EndForWantOfMemory(orphan);
        var lost = Ended(await back.Until(entry => entry is Entry.ChildEnded { Child: "orphan" }));
        Assert.Equal((PodEnd.Lost, "exit status not observable"), (lost.Reason, lost.Detail));
    }

    private static Entry.ChildEnded Ended(IReadOnlyList<Entry> entries) => (Entry.ChildEnded)entries[^1];

    /// <summary>Takes more memory than there is, in the Pod's place: it is the one that the kernel likes least, also where all of a session's processes come before others (systemd).</summary>
    private async Task EndForWantOfMemory(KnownPod pod)
    {
        using var process = pod.FindProcess()!;
        await File.WriteAllTextAsync($"/proc/{process.Pid}/oom_score_adj", "1000", _room.Ct);
        using var hungry = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"echo $$ > {_group!.Processes} && for i in 1 2 3 4; do /usr/bin/python3 -c 'x = bytearray({LimitMb / 2} << 20)' & done; wait"]))!;
        await process.Exited.WaitAsync(PodRoom.Patience, _room.Ct);
        await hungry.WaitForExitAsync(_room.Ct);
    }
}
