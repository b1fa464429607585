namespace Yoi.Runtime.Sandbox;

/// <summary>How far the kernel holds what a model starts. The words are those of status, journal and command line.</summary>
internal static class SandboxLevel
{
    /// <summary>bubblewrap and seccomp: what is not in the scope or the platform set does not exist inside.</summary>
    internal const string Kernel = "kernel";

    /// <summary>Landlock and seccomp, where namespaces are not to be had: what is not in the scope or the platform set cannot be opened.</summary>
    internal const string Partial = "partial";

    /// <summary>No Bash: the file tools hold the scope by themselves.</summary>
    internal const string ToolsOnly = "tools-only";

    internal static bool HasBash(string level) => level is Kernel or Partial;
}

/// <summary>A sandbox cannot be made as the policy demands. Nothing was started.</summary>
internal sealed class SandboxException(string message) : Exception(message);
