using System.Reflection;
using Yoi.Protocol;
using Yoi.Runtime.Control;

namespace Yoi.Runtime.Socket;

/// <summary>Answers <c>hello</c>: which version is spoken, and who speaks.</summary>
internal static class Handshake
{
    /// <summary>The methods that a child's token allows.</summary>
    internal static readonly IReadOnlyList<string> Upward = ["hello", "poke"];

    private static readonly string Program =
        $"yoi {typeof(Handshake).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "?"} ({Environment.ProcessPath})";

    /// <exception cref="RefusedException">No common version, or a token that proves nothing.</exception>
    internal static (ReplyResult.Welcome Welcome, Caller Caller) Answer(Method.Hello hello, ServedPod pod)
    {
        var version = Negotiate(hello, pod.Name);
        if (hello.Token is not { } token)
            return (Welcome(version, pod, [.. Kinds.Methods.Names]), new Caller(hello.Client ?? "human"));
        var child = pod.CallerOf(token) ?? throw new RefusedException(
            ErrorCode.NotAllowed, $"this token is no living child's of Pod {pod.Name}; a client of the user connects without a token");
        return (Welcome(version, pod, Upward), child);
    }

    private static int Negotiate(Method.Hello hello, string name)
    {
        var version = Math.Min(hello.MaxVersion, WireCodec.Version);
        if (version >= Math.Max(hello.MinVersion, WireCodec.OldestVersion)) return version;
        var spoken = WireCodec.OldestVersion == WireCodec.Version
            ? $"version {WireCodec.Version}" : $"versions {WireCodec.OldestVersion} to {WireCodec.Version}";
        var help = hello.MaxVersion < WireCodec.OldestVersion
            ? $"update your client, or use the program that serves this Pod: {Environment.ProcessPath} attach {name}"
            : $"this Pod is served by an older program; use that one: {Environment.ProcessPath} attach {name}, or stop the Pod and start it anew: yoi stop {name}";
        throw new RefusedException(ErrorCode.VersionMismatch,
            $"{Program} speaks {spoken} of the protocol, the client {hello.MinVersion} to {hello.MaxVersion}: {help}");
    }

    private static ReplyResult.Welcome Welcome(int version, ServedPod pod, IReadOnlyList<string> methods) =>
        new(version, pod.Name, pod.PodId, Program, methods);
}
