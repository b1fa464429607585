using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Runtime.Journal;

namespace Yoi.EndToEnd.Torture;

/// <summary>Kills, stops, fails and fills at every step, with real processes. <c>make torture SECONDS=600 SEED=7</c> runs it for longer.</summary>
public sealed class TortureTests(ITestOutputHelper output)
{
    private const int AtOnce = 2;

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } given ? int.Parse(given, CultureInfo.InvariantCulture) : otherwise;

    private static readonly int Seconds = Number("YOI_TORTURE_SECONDS", 20), Seed = Number("YOI_TORTURE_SEED", Random.Shared.Next());

    /// <summary>Of the plan only what has this word in it, such as <c>fill</c> or <c>table.</c>.</summary>
    private static readonly string Only = Environment.GetEnvironmentVariable("YOI_TORTURE_ONLY") ?? "";

    [Fact]
    public async Task Whatever_is_killed_stopped_or_fails_the_invariants_hold()
    {
        output.WriteLine($"SEED={Seed} SECONDS={Seconds}{(SmallDisk.IsPossible ? "" : "; no full disks: that takes root, unshare and nsenter")}");
        var began = Stopwatch.GetTimestamp();
        var outcomes = new ConcurrentQueue<Outcome>();
        await Parallel.ForEachAsync(
            Plan.Of(Seed).Where(scenario => scenario.ToString().Contains(Only, StringComparison.Ordinal)).TakeWhile(_ => Stopwatch.GetElapsedTime(began).TotalSeconds < Seconds),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = TestContext.Current.CancellationToken },
            async (scenario, ct) =>
            {
                var outcome = await Stage.PlayAsync(scenario, ct);
                outcomes.Enqueue(outcome);
                foreach (var violation in outcome.Violations) output.WriteLine(Told(outcome, violation));
            });
        var table = TortureReport.Table(Seed, Seconds, outcomes);
        output.WriteLine(table);
        if (Environment.GetEnvironmentVariable("YOI_TORTURE_REPORT") is { Length: > 0 } page) TortureReport.Put(page, table);
        string[] violations = [.. outcomes.SelectMany(outcome => outcome.Violations.Select(violation => Told(outcome, violation)))];
        Assert.True(violations.Length == 0, string.Join('\n', violations));
    }

    private static string Told(Outcome outcome, string violation) =>
        $"{violation} in {outcome.Scenario} (struck: {string.Join(", ", outcome.Struck)}): {outcome.Root}";

    [Fact]
    public void Every_failpoint_that_is_declared_is_in_the_plan()
    {
        var declared = typeof(Failpoints).GetFields(System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public)
            .Select(field => (string)field.GetRawConstantValue()!);
        // The trees run at level kernel, so no keeper is among them, and nothing in them is repaired by hand: KeeperTests and RepairFaultTests fail those steps.
        Assert.Equal(declared.Where(point => point != Failpoints.TableAside && point[..point.IndexOf('.')] is not ("keeper" or "repair")).Order(), Plan.Points.Order());
    }

    [Fact]
    public async Task Every_failpoint_in_the_plan_is_passed_by_a_few_scenarios_with_no_fault_but_what_it_needs()
    {
        var left = Plan.Points.ToHashSet(StringComparer.Ordinal);
        async Task PlayAsync(Scenario scenario)
        {
            var outcome = await Stage.PlayAsync(scenario, TestContext.Current.CancellationToken);
            Assert.Empty(outcome.Violations);
            left.ExceptWith(outcome.Passed);
        }
        foreach (var needed in Plan.Points.Select(Plan.Before).Where(needed => needed.Count > 0)) await PlayAsync(new Scenario(1, needed));
        for (var seed = 1; left.Count > 0 && seed <= 12; seed++) await PlayAsync(new Scenario(seed, []));
        // Without a sandbox there is no command, so no gate and no quarantine.
        if (!File.Exists("/usr/bin/bwrap")) left.RemoveWhere(point => point.StartsWith("command.", StringComparison.Ordinal) || point.StartsWith("quarantine.", StringComparison.Ordinal));
        Assert.Empty(left);
    }
}
