using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>The Pod behind a server: all that the socket knows of it.</summary>
/// <param name="Handle">The mailbox: does a method or refuses it. Called in the order of a connection's lines.</param>
/// <param name="Status">What the Pod does now; never waits.</param>
/// <param name="Greeting">Who answers <c>get_history</c>.</param>
/// <param name="JournalPath">The journal's file, for pages and history.</param>
/// <param name="ProcessSeq">Seq of this process's <see cref="Entry.ProcessStarted"/>: notifications from here on are replayed to base clients.</param>
/// <param name="CallerOf">The child that a token proves; null if the token is unknown.</param>
internal sealed record ServedPod(
    string PodId, string Name, Func<Method, Caller, Task<ReplyResult>> Handle, Func<PodStatus> Status, Func<Greeting> Greeting,
    JournalWriter Journal, string JournalPath, long ProcessSeq, Func<string, Caller?> CallerOf);

/// <summary>Limits of a server. Each refusal names the limit that it hit.</summary>
internal sealed record SocketLimits
{
    /// <summary>Open connections.</summary>
    internal int Connections { get; init; } = 256;

    /// <summary>Bytes that wait for one reader before it is cut off. What is told to everybody is held once, not once a reader.</summary>
    internal int BacklogBytes { get; init; } = 16 << 20;

    /// <summary>Bytes of the journal's tail that wait to be told to everybody before they are read from the file instead.</summary>
    internal int BroadcastBytes { get; init; } = 64 << 20;

    /// <summary>Requests of one connection in work at a time; further lines wait in the socket.</summary>
    internal int InFlight { get; init; } = 256;

    /// <summary>Bytes of one connection's requests in work, and of the pages that they ask for; further lines wait in the socket.</summary>
    internal int InFlightBytes { get; init; } = 16 << 20;

    /// <summary>Time for a line from its first byte to its newline.</summary>
    internal TimeSpan Line { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time that a closing connection has to take its last lines.</summary>
    internal TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Notifications kept for base clients that come later.</summary>
    internal int Notifications { get; init; } = 100;
}
