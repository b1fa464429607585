using System.Runtime.CompilerServices;

namespace Yoi.Tests;

/// <summary>For what the system tells nobody of (a file of another process, the state in /proc): looks until it is so.</summary>
internal static class Eventually
{
    /// <summary>Against hanging only: generous, because a busy machine is no fault.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <summary>Returns when the condition holds; fails with its text when the limit passes.</summary>
    internal static async Task Holds(Func<bool> condition, TimeSpan? limit = null, [CallerArgumentExpression(nameof(condition))] string what = "")
    {
        using var cancel = new CancellationTokenSource(limit ?? Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        try
        {
            while (!condition()) await ticks.WaitForNextTickAsync(cancel.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException("it never came true: " + what);
        }
    }

    /// <summary>Removes a directory with all in it, also one into which a Pod puts its socket back meanwhile.</summary>
    internal static Task Removed(string directory) => Holds(() =>
    {
        try
        {
            Directory.Delete(directory, recursive: true);
            return true;
        }
        catch (IOException) when (Directory.Exists(directory))
        {
            return false;
        }
    });
}
