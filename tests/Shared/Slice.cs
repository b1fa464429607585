namespace Yoi.Shared;

/// <summary>How much of a large case runs: a slice of it in every run of the tests, all of it where <c>YOI_FULL=1</c> (<c>make load</c>).</summary>
public static class Slice
{
    public static bool IsFull { get; } = Environment.GetEnvironmentVariable("YOI_FULL") is "1";

    public static int Of(int slice, int full) => IsFull ? full : slice;
}
