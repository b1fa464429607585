using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Xunit;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>The real yoi in a control group on the one hierarchy, which says that it was delegated, or does not.</summary>
public sealed partial class DelegatedGroupTests : IAsyncLifetime
{
    private const string Held = "held as a whole, memory as a whole", NotHeld = "no control group of its own can be made";

    private readonly string _home = Directory.CreateTempSubdirectory("yoi-tests-").FullName;
    private string? _outer;

    private string Inner => _outer + "/inner";

    public ValueTask InitializeAsync()
    {
        if (CommandGroup.Usable.FirstOrDefault(root => root is { Unified: true, Processes: true, Memory: true }) is not { } root) return ValueTask.CompletedTask;
        _outer = $"{root.Directory}/test-{Guid.NewGuid():n}"; // Nothing says that this one is delegated.
        Directory.CreateDirectory(Inner);
        File.WriteAllText(_outer + "/cgroup.subtree_control", "+pids +memory");
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        Directory.Delete(_home, recursive: true);
        foreach (var group in (string?[])[Inner + "/yoi", Inner, _outer])
            if (_outer is not null && Directory.Exists(group)) await Eventually.Holds(() => IsRemoved(group));
    }

    [Fact]
    public async Task A_delegated_group_is_made_ready_by_whoever_is_alone_in_it()
    {
        SkipWithout();
        Delegate();
        Assert.Contains(Held, await DoctorAsync("exec"), StringComparison.Ordinal);
        Assert.Equal(["memory", "pids"], File.ReadAllText(Inner + "/cgroup.subtree_control").Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Order());
        Assert.Equal([Inner + "/yoi"], Directory.GetDirectories(Inner)); // And no command left its group.
    }

    [Fact]
    public async Task A_group_that_was_delegated_with_a_subgroup_is_made_ready_from_there_whoever_else_is_in_that()
    {
        SkipWithout();
        Delegate();
        Directory.CreateDirectory(Inner + "/yoi");
        Assert.Contains(Held, await DoctorAsync("", Inner + "/yoi"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_group_that_was_not_delegated_or_has_others_in_it_is_left_as_it_is()
    {
        SkipWithout();
        Assert.Contains(NotHeld, await DoctorAsync("exec"), StringComparison.Ordinal);
        Delegate();
        Assert.Contains(NotHeld, await DoctorAsync(""), StringComparison.Ordinal); // The shell is in it, too.
        Assert.Empty(Directory.GetDirectories(Inner));
        Assert.Equal("", File.ReadAllText(Inner + "/cgroup.subtree_control").Trim());
    }

    private void SkipWithout() => Assert.SkipWhen(_outer is null, "needs a delegated control group on the one hierarchy (version 2)");

    /// <param name="how"><c>exec</c>: nobody else is in the group.</param>
    private async Task<string> DoctorAsync(string how, string? group = null)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"echo 0 > '{group ?? Inner}/cgroup.procs' && {how} '{RealPod.Yoi}' doctor; exit $?"]) { RedirectStandardOutput = true };
        start.Environment["YOI_HOME"] = _home;
        using var doctor = Process.Start(start)!;
        var said = await doctor.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await doctor.WaitForExitAsync(TestContext.Current.CancellationToken);
        return string.Join('\n', said.Split('\n').Where(line => line.Contains("limits of commands", StringComparison.Ordinal)));
    }

    private void Delegate() => Assert.Equal(0, SetAttribute(Inner, "user.delegate", Encoding.ASCII.GetBytes("1"), 1, 0));

    /// <summary>The kernel lets it go a moment after the last process.</summary>
    private static bool IsRemoved(string group)
    {
        try
        {
            Directory.Delete(group);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "setxattr", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetAttribute(string path, string name, byte[] value, nint size, int flags);
}
