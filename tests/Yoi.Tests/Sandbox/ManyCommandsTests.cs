using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Shared;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>What a command takes, it gives back: a slice of what months of use do.</summary>
[Collection(Alone.Name)]
public sealed class ManyCommandsTests
{
    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F02")]
    public async Task Many_short_commands_leave_no_descriptor_no_thread_no_process_and_no_file(string level)
    {
        var count = Slice.Of(200, 2_000);
        await using var room = await SandboxRoom.MakeAsync(level);
        for (var i = 0; i < 10; i++) await room.Run("true");
        var (before, files) = (Taken.Now(), Files(room));
        for (var i = 0; i < count; i++) Assert.Equal($"{i}", await room.Run(i % 4 == 0 ? $"(setsid sleep 60 &); echo {i}" : $"echo {i}"));
        await before.GoesBackAsync();
        Assert.Equal(files, Files(room));
        Assert.False(CommandMarks.AnyLeft(room.PodDirectory));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F02")]
    public async Task Many_commands_in_the_background_leave_no_more_than_the_output_of_the_last(string level)
    {
        const int known = 32, count = 60;
        await using var room = await SandboxRoom.MakeAsync(level);
        for (var i = 0; i < known; i++) await EndInBackground(room, i);
        var (before, files) = (Taken.Now(), Files(room).Count);
        for (var i = 0; i < count; i++) await EndInBackground(room, i);
        await before.GoesBackAsync();
        Assert.Equal(files, Files(room).Count);
        var last = room.Shell.Known[^1];
        Assert.Equal(known, room.Shell.Known.Count);
        Assert.Equal($"{count - 1}", (await room.Ask("BashOutput", ("name", last.Name))).Content);
        File.Delete(last.Process.Output.Path); // As when there is no room any more.
        last.Shown = 0;
        Assert.Contains("was removed", (await room.Ask("BashOutput", ("name", last.Name))).Content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Pod_takes_no_more_memory_for_the_commands_that_were()
    {
        const int mostMib = 40;
        SandboxRoom.SkipWithout("partial");
        await using var room = new PodRoom();
        var pod = await room.Root(with: document => document with { SandboxLevel = "partial" });
        await RunAsync();
        var before = Mib(pod.Launched.Pid);
        for (var i = 0; i < 5; i++) await RunAsync();
        Assert.InRange(Mib(pod.Launched.Pid), 1, before + mostMib);

        async Task RunAsync() => Assert.All(await pod.Calls([.. Enumerable.Repeat("""CALL Bash {"command":"true"}""", 60)]), result => Assert.False(result.IsError, result.Summary));
        static long Mib(int pid) => long.Parse(File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], null) >> 10;
    }

    private static async Task EndInBackground(SandboxRoom room, int number)
    {
        await room.Bash($"echo {number}", ("run_in_background", true));
        await room.Shell.Known[^1].Ended;
    }

    /// <summary>What this process holds. However many commands there were, no more than the runtime's own may come on top: some threads of its pool.</summary>
    private sealed record Taken(int Descriptors, int Threads, IReadOnlySet<string> Zombies)
    {
        private const int MoreDescriptors = 4, MoreThreads = 12;

        internal static Taken Now() => new(Entries("fd"), Entries("task"), Tests.Zombies.Of().ToHashSet());

        internal async Task GoesBackAsync()
        {
            await Eventually.Holds(() => Entries("fd") <= Descriptors + MoreDescriptors);
            await Eventually.Holds(() => Entries("task") <= Threads + MoreThreads);
            await Eventually.Holds(() => Tests.Zombies.Of().All(Zombies.Contains));
        }

        private static int Entries(string what) => Directory.GetFileSystemEntries("/proc/self/" + what).Length;
    }

    private static List<string> Files(SandboxRoom room) =>
        [.. Directory.EnumerateFileSystemEntries(room.PodDirectory, "*", SearchOption.AllDirectories).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];
}
