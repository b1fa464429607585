using System.Globalization;
using Xunit;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Sandbox;

/// <summary>What a command takes, it gives back: a slice of what months of use do. <c>YOI_MANY_COMMANDS</c> says how many; the whole case is 2000.</summary>
[Collection("sandbox")]
public sealed class ManyCommandsTests
{
    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F02")]
    public async Task Many_short_commands_leave_no_descriptor_no_thread_no_process_and_no_file(string level)
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("YOI_MANY_COMMANDS"), CultureInfo.InvariantCulture, out var given) ? given : 200;
        await using var room = await SandboxRoom.MakeAsync(level);
        for (var i = 0; i < 10; i++) await room.Run("true");
        var (descriptors, threads, files) = (Entries("fd"), Entries("task"), Files(room));
        for (var i = 0; i < count; i++) Assert.Equal($"{i}", await room.Run(i % 4 == 0 ? $"(setsid sleep 60 &); echo {i}" : $"echo {i}"));
        await GoesBack(descriptors, threads, count);
        Assert.Equal(files, Files(room));
        Assert.False(CommandMarks.AnyLeft(room.PodDirectory));
        await Eventually.Holds(() => Zombies.Count() <= count / 10);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F02")]
    public async Task Many_commands_in_the_background_leave_no_more_than_the_output_of_the_last(string level)
    {
        const int known = 32, count = 60;
        await using var room = await SandboxRoom.MakeAsync(level);
        for (var i = 0; i < known; i++) await EndInBackground(room, i);
        var (descriptors, threads, files) = (Entries("fd"), Entries("task"), Files(room).Count);
        for (var i = 0; i < count; i++) await EndInBackground(room, i);
        await GoesBack(descriptors, threads, count);
        Assert.Equal(files, Files(room).Count);
        var last = room.Shell.Known[^1];
        Assert.Equal(known, room.Shell.Known.Count);
        Assert.Equal($"{count - 1}", (await room.Ask("BashOutput", ("name", last.Name))).Content);
        File.Delete(last.Process.Output.Path); // As when there is no room any more.
        last.Shown = 0;
        Assert.Contains("was removed", (await room.Ask("BashOutput", ("name", last.Name))).Content, StringComparison.Ordinal);
    }

    private static async Task EndInBackground(SandboxRoom room, int number)
    {
        await room.Bash($"echo {number}", ("run_in_background", true));
        await room.Shell.Known[^1].Ended;
    }

    /// <summary>
    /// What stays with each command would be as many as there were, for ever. Tests beside this one hold hundreds of sockets and threads of the same
    /// process for a moment.
    /// </summary>
    private static async Task GoesBack(int descriptors, int threads, int count)
    {
        await Eventually.Holds(() => Entries("fd") <= descriptors + (count / 2));
        await Eventually.Holds(() => Entries("task") <= threads + (count / 2));
    }

    private static int Entries(string what) => Directory.GetFileSystemEntries("/proc/self/" + what).Length;

    private static List<string> Files(SandboxRoom room) =>
        [.. Directory.EnumerateFileSystemEntries(room.PodDirectory, "*", SearchOption.AllDirectories).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];
}
