using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Spawning;

/// <summary>Directories that only their user may enter.</summary>
internal static class PrivateDirectories
{
    /// <summary>The step that a failure names.</summary>
    internal const string Step = "directories";

    /// <summary>Creates those that are missing, 0700, with their names on disk: what a Pod accepts is durable only in a directory that is. Leaves the others as they are.</summary>
    /// <exception cref="LaunchException">Something else stands there, which is left as it is, or it may not be made.</exception>
    internal static void Create(params ReadOnlySpan<string> paths)
    {
        foreach (var path in paths)
        {
            if (File.Exists(path))
                throw new LaunchException(Step, $"{path} is a file with mode {Convert.ToString((int)File.GetUnixFileMode(path), 8)}, no directory; remove it, or set YOI_HOME");
            try
            {
                if (!Directory.Exists(path)) PrivateFile.CreateDirectory(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new LaunchException(Step, $"{path} cannot be made ({e.Message}); set HOME or YOI_HOME to a directory that you may write");
            }
        }
    }

    /// <summary>Writes a file that only its user may read, 0600, in place of an older one; a link that stands there is replaced, not followed.</summary>
    internal static void WriteSecret(string path, string text) => PrivateFile.Replace(path, System.Text.Encoding.UTF8.GetBytes(text), durable: false);
}
