using Yoi.Protocol;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// What a child proves itself with to its spawner, in a file beside its socket that the spawner reads. The child owns it, as it
/// owns its socket: both are there while it lives and have the same fate.
/// </summary>
internal sealed class TokenFile(YoiDirectories directories, string podId, string token) : IDisposable
{
    /// <summary>Writes it, or writes it anew. The socket stands there by then: its directory is known to be nobody else's.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    internal void Write() => PrivateDirectories.WriteSecret(directories.Token(podId), token);

    public void Dispose()
    {
        try
        {
            File.Delete(directories.Token(podId));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The runtime directory may vanish at any time, and the token proves nothing once its child has ended.
        }
    }
}
