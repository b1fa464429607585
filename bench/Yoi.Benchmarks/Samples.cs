using System.Globalization;

namespace Yoi.Benchmarks;

/// <summary>Durations of one thing done again and again; shown as its median, with the slowest tenth beside it.</summary>
internal sealed class Samples
{
    private readonly List<TimeSpan> _taken = [];

    internal void Add(TimeSpan taken) => _taken.Add(taken);

    /// <summary>Takes so many samples of a thing that measures itself.</summary>
    internal static async Task<Samples> OfAsync(int count, Func<int, Task<TimeSpan>> measure)
    {
        var samples = new Samples();
        for (var i = 0; i < count; i++) samples.Add(await measure(i));
        return samples;
    }

    internal TimeSpan Median => At(0.5);

    /// <summary>The same without what all of them have in common.</summary>
    internal Samples Less(TimeSpan common)
    {
        var less = new Samples();
        foreach (var taken in _taken) less.Add(taken > common ? taken - common : TimeSpan.Zero);
        return less;
    }

    /// <summary>What each of so many things takes that were done together.</summary>
    internal Samples Over(int together)
    {
        var each = new Samples();
        foreach (var taken in _taken) each.Add(taken / together);
        return each;
    }

    /// <summary>How many times as long the median is.</summary>
    internal string Times(Samples other) => string.Create(CultureInfo.InvariantCulture, $"{Median / other.Median:0.0}×");

    private TimeSpan At(double share)
    {
        var sorted = _taken.Order().ToArray();
        return sorted[Math.Min((int)(sorted.Length * share), sorted.Length - 1)];
    }

    public override string ToString() => _taken.Count < 10 ? Text(Median) : $"{Text(Median)} ({Text(At(0.9))})";

    private static string Text(TimeSpan taken) => taken.TotalMilliseconds switch
    {
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{taken.TotalMicroseconds:0} µs"),
        < 20 => string.Create(CultureInfo.InvariantCulture, $"{taken.TotalMilliseconds:0.0} ms"),
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{taken.TotalMilliseconds:0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{taken.TotalSeconds:0.0} s"),
    };
}
