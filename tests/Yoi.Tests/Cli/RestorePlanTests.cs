using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;

namespace Yoi.Tests.Cli;

public sealed class RestorePlanTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private List<string> Differing(string settings, PodLimits limits, CommandLimits? commands, ModelTiming? timing, string level)
    {
        Directory.CreateDirectory(_room.Surroundings.Directories.Config);
        File.WriteAllText(_room.Surroundings.Directories.Config + "/yoi.jsonc", settings);
        var created = new Entry.PodCreated(
            1, PodName.NewId(TimeProvider.System), "p", _room.Cwd, new ModelChoice("openai", "m"), new ScopeRules([], []), 1, null, 0, null, limits, "none", "yoi",
            Timing: timing, Commands: commands);
        return [.. RestorePlan.Differing(Settings.Load(_room.Surroundings.Directories, _room.Cwd, _room.Root), created, level)];
    }

    [Fact, Trait("case", "T28")]
    public void Every_number_that_the_settings_say_otherwise_is_told_and_nothing_that_they_say_alike()
    {
        Assert.Empty(Differing("{}", new PodLimits(), null, null, "partial")); // A journal of before these were in it.
        Assert.Empty(Differing("{}", new PodLimits(), new CommandLimits(), new ModelTiming(), "partial"));

        var told = Differing("{}", new PodLimits(1, 1, 1, 1, 1), new CommandLimits(1, 1, 1, 1, 1, 1), new ModelTiming(1, 1, 1, 1, 1), "partial");
        Assert.Equal(typeof(PodLimits).GetProperties().Length + typeof(CommandLimits).GetProperties().Length + typeof(ModelTiming).GetProperties().Length, told.Count);
        Assert.Contains("the settings say limits.tokens without limit; it keeps 1", told);
        Assert.Contains("the settings say limits.commands.memory_mb 8192; it keeps 1", told);
        Assert.Contains("the settings say timing.silence_ms 90000; it keeps 1", told);
        Assert.Equal(["the settings say limits.tokens 7; it keeps none"], Differing("""{ "limits": { "tokens": 7 } }""", new PodLimits(), null, null, "partial"));
    }

    [Fact, Trait("case", "T28")]
    public void A_sandbox_level_that_is_named_and_is_another_is_told()
    {
        Assert.Equal(["the settings say sandbox kernel; it keeps partial"], Differing("""{ "sandbox": "kernel" }""", new PodLimits(), null, null, "partial"));
        Assert.Empty(Differing("""{ "sandbox": "kernel" }""", new PodLimits(), null, null, "kernel"));
        Assert.Empty(Differing("""{ "sandbox": "auto" }""", new PodLimits(), null, null, "partial"));
    }
}
