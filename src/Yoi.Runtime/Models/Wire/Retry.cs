using System.Globalization;
using System.Net.Http.Headers;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>Whether and when a failed try is repeated: doubled waits with jitter, a provider's own demand, and a cap on both.</summary>
internal sealed class Retry(ModelTiming timing, TimeProvider time, Random jitter)
{
    private const double FirstWaitMs = 500;

    /// <summary>How long to wait before the next try.</summary>
    /// <param name="tries">Tries made so far.</param>
    /// <exception cref="ModelException">There is no next try.</exception>
    internal TimeSpan WaitOrThrow(ModelException failure, int tries)
    {
        // What the provider says in the middle of a message is its answer; a line that broke there says nothing.
        if (!failure.Retryable || (failure.Produced && !failure.Broke))
            throw failure;
        if (failure.RetryAfter is { } demanded && demanded.TotalMilliseconds > timing.MaxBackoffMs)
        {
            throw new ModelException(ModelFailure.RateLimited,
                $"{failure.Message} (it asks to wait {Seconds(demanded)} s, more than the {Seconds(TimeSpan.FromMilliseconds(timing.MaxBackoffMs))} s that are waited here)",
                produced: false, retryable: true, failure, failure.RetryAfter);
        }
        if (tries >= timing.MaxTries)
        {
            throw tries == 1 ? failure : new ModelException(failure.Kind, $"{failure.Message} (tried {tries} times)", failure.Produced, retryable: true, failure, broke: failure.Broke);
        }
        var doubled = Math.Min(FirstWaitMs * Math.Pow(2, Math.Min(tries - 1, 30)), timing.MaxBackoffMs);
        var wait = TimeSpan.FromMilliseconds(doubled * (0.5 + jitter.NextDouble() / 2));
        return failure.RetryAfter is { } asked && asked > wait ? asked : wait;
    }

    /// <summary>What the headers ask for: milliseconds, seconds or a date. Nonsense and the past ask for nothing.</summary>
    internal TimeSpan? Asked(HttpResponseHeaders headers)
    {
        if (First(headers, "retry-after-ms") is { } ms && Number(ms) is { } milliseconds)
            return Span(milliseconds);
        if (First(headers, "Retry-After") is not { } text)
            return null;
        if (Number(text) is { } seconds)
            return Span(seconds * 1000);
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date)
            ? Span((date - time.GetUtcNow()).TotalMilliseconds)
            : null;
    }

    private static string? First(HttpResponseHeaders headers, string name) => headers.TryGetValues(name, out var values) ? values.First().Trim() : null;

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && !double.IsNaN(number) ? number : null;

    private static TimeSpan? Span(double ms) => ms <= 0 ? null : TimeSpan.FromMilliseconds(Math.Min(ms, int.MaxValue));

    private static string Seconds(TimeSpan span) => span.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);
}
