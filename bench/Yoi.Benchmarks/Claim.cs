using System.Globalization;

namespace Yoi.Benchmarks;

/// <summary>A figure that names a size is of that size, or there is no figure.</summary>
internal static class Claim
{
    /// <exception cref="InvalidOperationException">There is less than the row will say.</exception>
    internal static void AtLeast(long said, long found, string what)
    {
        if (found < said) throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"the row says {said:#,0} {what}, and there are {found:#,0}"));
    }

    /// <exception cref="InvalidOperationException">There is more or less than the row will say.</exception>
    internal static void Exactly(long said, long found, string what)
    {
        if (found != said) throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"the row says {said:#,0} {what}, and there are {found:#,0}"));
    }
}
