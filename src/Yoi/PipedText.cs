using System.Text;
using Yoi.Protocol;

namespace Yoi;

/// <summary>What is piped in, never more of it than a Pod would take: <c>/dev/zero</c> has no end.</summary>
internal static class PipedText
{
    private const int Most = WireCodec.MaxLineBytes;

    /// <summary>The next line without its end; null if there is none. Blocks its thread.</summary>
    /// <exception cref="CommandException">It is longer than any message.</exception>
    internal static string? ReadLine(TextReader input)
    {
        var line = new StringBuilder();
        for (int next; (next = input.Read()) != '\n'; line.Append((char)next))
        {
            if (next < 0 && line.Length == 0) return null;
            if (next < 0) break;
            Require(line.Length + 1);
        }
        return line is [.., '\r'] ? line.ToString(0, line.Length - 1) : line.ToString();
    }

    /// <summary>All of it.</summary>
    /// <exception cref="CommandException">It is longer than any message.</exception>
    internal static async Task<string> ReadToEndAsync(TextReader input, CancellationToken ct)
    {
        var text = new StringBuilder();
        var piece = new char[4096];
        while (await input.ReadAsync(piece, ct) is > 0 and var read)
        {
            Require(text.Length + read);
            text.Append(piece, 0, read);
        }
        return text.ToString();
    }

    private static void Require(int length)
    {
        if (length > Most)
            throw new CommandException(ExitCode.Usage, $"what is piped in is longer than a Pod takes in one message ({Most >> 20} MiB): put it into a file in the Pod's scope and name that");
    }
}
