using System.Text;

namespace Yoi.Runtime.Tools.Files;

/// <summary>What kind of content a file's first bytes promise.</summary>
internal static class TextFormat
{
    /// <summary>As much as a look at the beginning takes.</summary>
    internal const int Sample = 8 * 1024;

    /// <summary>Beginnings of formats that are no text, whatever follows.</summary>
    private static readonly (byte[] Bytes, string Name)[] Signatures =
    [
        ([0x89, (byte)'P', (byte)'N', (byte)'G'], "PNG image"), ([0xff, 0xd8, 0xff], "JPEG image"), ([.. "GIF8"u8], "GIF image"),
        ([.. "%PDF-"u8], "PDF document"), ([0x7f, (byte)'E', (byte)'L', (byte)'F'], "ELF program or library"), ([.. "PK\u0003\u0004"u8], "ZIP archive"),
        ([0x1f, 0x8b, 0x08], "gzip data"), ([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "xz data"), ([0x28, 0xb5, 0x2f, 0xfd], "zstd data"),
        ([.. "BZh"u8, (byte)'9'], "bzip2 data"), ([.. "SQLite format 3\0"u8], "SQLite database"), ([0, .. "asm"u8], "WebAssembly module"),
    ];

    /// <summary>The kind of a binary file, or null for text. UTF-16 counts as text only with its byte order mark.</summary>
    internal static string? BinaryKind(ReadOnlySpan<byte> start)
    {
        foreach (var (bytes, name) in Signatures)
            if (start.StartsWith(bytes)) return name;
        if (Utf16(start) is not null) return null;
        if (start.StartsWith("MZ"u8) && start.Contains((byte)0)) return "Windows program or library";
        return start.Contains((byte)0) ? "data with NUL bytes" : null;
    }

    /// <summary>The encoding that a UTF-16 byte order mark names, or null.</summary>
    internal static UnicodeEncoding? Utf16(ReadOnlySpan<byte> start) => start switch
    {
        [0xff, 0xfe, 0, 0, ..] => null,
        [0xff, 0xfe, ..] => new UnicodeEncoding(bigEndian: false, byteOrderMark: true),
        [0xfe, 0xff, ..] => new UnicodeEncoding(bigEndian: true, byteOrderMark: true),
        _ => null,
    };

    internal static bool HasBom(ReadOnlySpan<byte> start) => start.StartsWith("\ufeff"u8);

    internal static string Bytes(long count) => count switch
    {
        < 10_000 => FormattableString.Invariant($"{count} bytes"),
        < 10L << 20 => FormattableString.Invariant($"{count / 1024.0:F0} KiB"),
        < 10L << 30 => FormattableString.Invariant($"{count / 1048576.0:F0} MiB"),
        _ => FormattableString.Invariant($"{count / 1073741824.0:F0} GiB"),
    };
}
