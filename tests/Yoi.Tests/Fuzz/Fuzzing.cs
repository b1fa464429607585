using System.Globalization;
using System.Security.Cryptography;
using Xunit;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Fuzz;

/// <summary>
/// Runs a property over mutated inputs: a bounded number of them, or <c>YOI_FUZZ_SECONDS</c> of them (<c>make fuzz</c>). The seed is
/// printed; <c>YOI_SEED</c> repeats it. All runs begin with the inputs in <c>tests/Yoi.Tests/Data/fuzz/TARGET/</c>; <c>make fuzz</c> adds one that fails.
/// </summary>
internal static class Fuzzing
{
    private static int Seconds { get; } = int.TryParse(Environment.GetEnvironmentVariable("YOI_FUZZ_SECONDS"), out var asked) ? asked : 0;

    internal static async Task RunAsync(string target, int count, IReadOnlyList<byte[]> seeds, Func<byte[], Random, Task> holds)
    {
        var kept = Path.Combine(SourceTree.Root, "tests/Yoi.Tests/Data/fuzz", target);
        if (Directory.Exists(kept))
            foreach (var file in Directory.GetFiles(kept)) await OneAsync(kept, await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken), new Random(0), file, holds);
        var seed = int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        var random = new Random(seed);
        var mutation = new Mutation(random, seeds);
        var began = TimeProvider.System.GetTimestamp();
        var cases = 0;
        while (Seconds > 0 ? TimeProvider.System.GetElapsedTime(began).TotalSeconds < Seconds : cases < count)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await OneAsync(kept, mutation.Next(), random, string.Create(CultureInfo.InvariantCulture, $"YOI_SEED={seed}, case {cases}"), holds);
            cases++;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{target}: {cases} cases");
    }

    private static async Task OneAsync(string kept, byte[] input, Random random, string which, Func<byte[], Random, Task> holds)
    {
        try
        {
            await holds(input, random);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            var file = Path.Combine(kept, Convert.ToHexStringLower(SHA256.HashData(input))[..16] + ".bin");
            if (Seconds > 0)
            {
                Directory.CreateDirectory(kept);
                await File.WriteAllBytesAsync(file, input, CancellationToken.None);
            }
            throw new InvalidOperationException($"{which}: {(Seconds > 0 ? $"kept as {file}; " : "")}the input, as base64: {Convert.ToBase64String(input.AsSpan(0, Math.Min(input.Length, 6_000)))}", e);
        }
    }
}
