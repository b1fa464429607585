using System.Runtime.InteropServices;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    internal const int SigInt = 2, SigKill = 9, SigTerm = 15, SigCont = 18, SigStop = 19;

    [LibraryImport(Name, EntryPoint = "kill", SetLastError = true)]
    internal static partial int Kill(int pid, int signal);

    [LibraryImport(Name, EntryPoint = "getppid")]
    internal static partial int ParentPid();

    /// <summary>To the calling thread, which does not return from it before the signal has done its work.</summary>
    [LibraryImport(Name, EntryPoint = "raise")]
    internal static partial int Raise(int signal);
}
