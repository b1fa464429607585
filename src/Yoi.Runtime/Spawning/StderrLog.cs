using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>A Pod's own words on stderr, which is its <see cref="PodFiles.Stderr"/>: begun anew whenever it is large, and says so.</summary>
internal sealed class StderrLog : TextWriter
{
    /// <summary>Above this size it is begun anew.</summary>
    internal const long MaxBytes = 256 * 1024;

    private readonly SafeFileHandle _file;

    internal StderrLog() : this(new SafeFileHandle(2, ownsHandle: false)) { }

    internal StderrLog(SafeFileHandle file) => _file = file;

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value) => Write([value]);

    public override void Write(string? value) => Write(value.AsSpan());

    public override void WriteLine(string? value) => Write(value + "\n");

    public override void Write(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var rest = bytes.AsSpan(0, Encoding.UTF8.GetBytes(text, bytes));
        if (IsLarge() && Libc.Ftruncate(_file, 0) == 0) _ = Libc.Write(_file, "[begun anew: it was large]\n"u8, 27);
        while (rest.Length > 0 && Libc.Write(_file, rest, rest.Length) is > 0 and var written) rest = rest[(int)written..];
    }

    // A terminal or a pipe has no size.
    private bool IsLarge()
    {
        try
        {
            return Libc.Identify(_file, "stderr") is { IsFile: true, Size: > MaxBytes };
        }
        catch (LinuxException)
        {
            return false; // It is closed: nobody reads it.
        }
    }
}
