using System.Runtime.InteropServices;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    [LibraryImport(Name, EntryPoint = "getuid")]
    internal static partial uint UserId();
}
