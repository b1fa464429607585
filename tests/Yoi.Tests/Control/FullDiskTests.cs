using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Tests.Journal;

namespace Yoi.Tests.Control;

public sealed class FullDiskTests
{
    [Fact]
    public async Task A_status_says_disk_until_what_could_not_be_written_is_and_not_while_the_next_run_goes_on()
    {
        var full = false;
        await using var pod = await ControlledPod.CreateAsync(new TestModel(), new ModelChoice("scripted", "m"), new PodLimits(), [],
            path => new FaultyFile(path) { OnWrite = () => Volatile.Read(ref full) ? (Errno.NoSpc, 0) : null });
        await pod.AskAsync(new Method.Run("cut off"));
        await pod.Model.Asked.WaitAsync(TempPod.Ct);
        Volatile.Write(ref full, true);
        pod.Model.Say("lost");
        await Eventually.Holds(() => pod.Controller.Status() is { WaitingFor: { } why } && why.StartsWith("disk: ", StringComparison.Ordinal));

        Volatile.Write(ref full, false);
        await pod.AskAsync(new Method.Run("hello"));
        await pod.Model.Asked.WaitAsync(TempPod.Ct);
        var status = pod.Controller.Status();
        pod.Model.Say("hi");

        Assert.Equal((PodState.Running, "model"), (status.State, status.WaitingFor));
        Assert.Equal(RunEnd.DiskError, (await pod.SeeAsync<Entry.RunEnded>()).Reason);
        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>(nth: 2)).Reason);
    }

    [Fact]
    public async Task A_disk_that_was_full_and_then_fails_for_good_is_told_by_its_newest_failure()
    {
        var errno = 0;
        await using var pod = await ControlledPod.CreateAsync(new TestModel(), new ModelChoice("scripted", "m"), new PodLimits(), [],
            path => new FaultyFile(path) { OnWrite = () => Volatile.Read(ref errno) is var now and not 0 ? (now, 0) : null });
        await pod.AskAsync(new Method.Run("cut off"));
        await pod.Model.Asked.WaitAsync(TempPod.Ct);
        Volatile.Write(ref errno, Errno.NoSpc);
        pod.Model.Say("lost");
        await Eventually.Holds(() => pod.Controller.Status() is { WaitingFor: { } why } && why.Contains("free some space", StringComparison.Ordinal));

        Volatile.Write(ref errno, Errno.Io);
        await Assert.ThrowsAnyAsync<Exception>(() => pod.AskAsync(new Method.Run("hello")));

        await Eventually.Holds(() => pod.Controller.Status() is { WaitingFor: { } why } && why.Contains("until this Pod is restarted", StringComparison.Ordinal));
    }
}
