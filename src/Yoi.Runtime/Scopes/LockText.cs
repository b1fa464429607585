using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// What <c>scopes.lock</c> says: who took it last, and the generation of the last table that was written, so that a table that
/// never was and one that was removed are two different things.
/// </summary>
/// <param name="Generation">Null if it is not known: then a missing table is never taken for an empty one while Pods live.</param>
internal sealed record LockText(int Pid, string Name, long? Generation)
{
    internal static byte[] Format(int pid, string name, long? generation) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{pid} {name}\ngeneration {generation?.ToString(CultureInfo.InvariantCulture) ?? "lost"}\n"));

    internal static LockText Read(SafeFileHandle file)
    {
        var bytes = new byte[512];
        var lines = Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, 0)).Split('\n');
        var holder = lines[0].Split(' ', 2);
        var pid = int.TryParse(holder[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        long? generation = lines.Length > 2 && lines[1].StartsWith("generation ", StringComparison.Ordinal)
            && long.TryParse(lines[1].AsSpan(11), NumberStyles.None, CultureInfo.InvariantCulture, out var last) ? last : null;
        return new(pid, holder.Length == 2 ? holder[1] : "", generation);
    }
}
