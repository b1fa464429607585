using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Linux;

namespace Yoi.Shared;

/// <summary>What some tests need of a machine beyond what Yoi does. An ordinary user has it not everywhere: not on Ubuntu, for one.</summary>
internal static class Needs
{
    private const string Strace = "/usr/bin/strace", OnlyOwnChildren = "/proc/sys/kernel/yama/ptrace_scope";

    private static readonly Lazy<bool> HasNamespaces = new(() =>
    {
        using var tried = Process.Start(new ProcessStartInfo("/usr/bin/unshare", ["-rm", "true"]) { RedirectStandardError = true })!;
        tried.WaitForExit();
        return tried.ExitCode == 0;
    });

    /// <summary>Programs that Yoi itself has no use for; by path where a test calls them by path. The whole check installs them all.</summary>
    internal static void Programs(params string[] programs)
    {
        foreach (var program in programs)
            if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, program)))) Assert.Skip($"needs {program}");
    }

    /// <summary>strace on a program that runs already.</summary>
    internal static void Tracing()
    {
        if (!File.Exists(Strace)) Assert.Skip("needs strace");
        if (Libc.Geteuid() != 0 && File.Exists(OnlyOwnChildren) && File.ReadAllText(OnlyOwnChildren).Trim() != "0") Assert.Skip($"this user may trace his own children only ({OnlyOwnChildren})");
    }

    /// <summary>A namespace of mounts, made with nothing but unshare.</summary>
    internal static void Namespaces()
    {
        if (!HasNamespaces.Value) Assert.Skip("this user may not mount anything in a namespace of his own (`unshare -rm true`)");
    }
}
