using System.Globalization;
using Xunit;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>
/// A project in which names that differ in case are one file. Few machines that run tests have such a file system: strace changes what the kernel
/// says of the kind of it.
/// </summary>
public sealed class FoldingTests : IAsyncDisposable
{
    private const int Refused = 3;

    private const uint Tmpfs = 0x01021994, Fat = 0x4d44;

    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "P11")]
    public async Task A_scope_where_names_that_differ_in_case_are_one_file_is_refused_with_the_reason_before_anything_starts()
    {
        Needs.Programs("/usr/bin/strace");
        await using var server = await ModelServer.StartAsync(new Minds().Of("other", Answer.Says("done")).Answer);
        _room.UseModel(server);
        Task<YoiResult> RunAsync(string name, uint kind)
        {
            // A word whose first byte is the lowest.
            var word = string.Concat(BitConverter.GetBytes((ulong)kind).Select(one => one.ToString("x2", CultureInfo.InvariantCulture)));
            _room.Through = (program, args) => ("/usr/bin/strace", ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fstatfs", "-e", $"inject=fstatfs:poke_exit=@arg2={word}", program, .. args]);
            return _room.RunAsync("run", "go", "--name", name, "--sandbox", "tools-only");
        }
        (await RunAsync("other", Tmpfs)).Expect(0); // Nothing else is in the way.

        var refused = (await RunAsync("folding", Fat)).Expect(Refused).Error.ReplaceLineEndings(" ");

        Assert.Contains($"{_room.Project} takes names that differ in case for one file", refused, StringComparison.Ordinal);
        Assert.Contains("it cannot be a scope root", refused, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(_room.Directories.Pods, "folding.*"));
    }
}
