using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>Small files of a Pod's own: written whole, through no link, bounded.</summary>
public sealed class PrivateFilesTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("yoi-private-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact, Trait("case", "K04")]
    public void A_secret_replaces_a_link_and_never_follows_it()
    {
        var (secret, elsewhere) = (_root + "/a.token", _root + "/elsewhere");
        File.WriteAllText(elsewhere, "untouched");
        File.CreateSymbolicLink(secret, elsewhere);
        File.CreateSymbolicLink(secret + ".new", elsewhere);
        PrivateDirectories.WriteSecret(secret, "s3cret");
        Assert.Equal(("untouched", "s3cret"), (File.ReadAllText(elsewhere), File.ReadAllText(secret)));
        Assert.Null(new FileInfo(secret).LinkTarget);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret));
        PrivateDirectories.WriteSecret(secret, "another");
        Assert.Equal("another", File.ReadAllText(secret));
        Assert.Equal(["a.token", "elsewhere"], Directory.GetFiles(_root).Select(Path.GetFileName).Order());
    }

    [Fact, Trait("case", "G12")]
    public void What_a_Pod_says_on_stderr_never_grows_without_bound()
    {
        var path = _root + "/" + Yoi.Protocol.PodFiles.Stderr;
        using var file = PrivateFile.OpenToWrite(path, OpenFlags.Append);
        using var log = new StderrLog(file);
        for (var i = 0; i < 20_000; i++) log.WriteLine($"yoi: something is wrong, for the time number {i} — ümläut");
        Assert.InRange(new FileInfo(path).Length, 1, StderrLog.MaxBytes + 1024);
        var text = File.ReadAllText(path);
        Assert.StartsWith("[begun anew: it was large]\n", text, StringComparison.Ordinal);
        Assert.EndsWith("number 19999 — ümläut\n", text, StringComparison.Ordinal);
    }
}
