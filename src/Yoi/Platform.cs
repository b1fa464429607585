using System.Runtime.InteropServices;

namespace Yoi;

/// <summary>Where Yoi runs: Linux on x64 and arm64, WSL included.</summary>
internal static class Platform
{
    /// <summary>Null if it runs here, else the words that say why not.</summary>
    internal static string? WhyNot(bool linux, Architecture architecture, string description) =>
        !linux
            ? $"this is {description}; Yoi runs on Linux (x64, arm64). On Windows use WSL, on macOS a Linux container or virtual machine"
            : architecture is Architecture.X64 or Architecture.Arm64
                ? null : $"this is Linux on {architecture}; Yoi runs on x64 and arm64";
}
