using System.Net;

namespace Yoi.Runtime.Configuration;

/// <summary>What makes an address of a provider good, and which addresses never leave this machine.</summary>
internal static class ProviderAddress
{
    /// <summary>Null if the address can be used, else what is wrong with it.</summary>
    internal static string? Problem(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0)
            return $"\"{url}\" is no http or https address, for example http://127.0.0.1:8000/v1";
        if (uri.UserInfo.Length > 0) return "a user or password in the address; keys belong in api_key_env, api_key_file or api_key_command";
        return uri.Query.Length > 0 || uri.Fragment.Length > 0 ? $"\"{url}\" has a query or fragment; only origin and path prefix are used" : null;
    }

    /// <summary>
    /// Where Ollama listens: its own variable OLLAMA_HOST (host, host:port or an address), else its default. A server that listens
    /// on all interfaces is asked on loopback. What cannot be read is returned as it is, for <see cref="Problem"/> to name.
    /// </summary>
    internal static string Ollama(string? host)
    {
        if (host is null) return "http://127.0.0.1:11434/v1";
        var bare = !host.Contains("://", StringComparison.Ordinal);
        if (!Uri.TryCreate(bare ? "http://" + host : host, UriKind.Absolute, out var uri)) return host;
        var address = new UriBuilder(uri) { Host = uri.Host is "0.0.0.0" ? "127.0.0.1" : uri.Host };
        if (bare && uri.IsDefaultPort && !host.Contains(":80", StringComparison.Ordinal)) address.Port = 11434;
        return address.Uri.AbsoluteUri.TrimEnd('/') + (uri.AbsolutePath == "/" ? "/v1" : "");
    }

    /// <summary>True for an address that reaches no other machine.</summary>
    internal static bool IsLoopback(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri)
        && (uri.Host is "localhost" || (IPAddress.TryParse(uri.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address)));
}
