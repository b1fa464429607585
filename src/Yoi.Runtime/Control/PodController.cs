using Yoi.Protocol;

namespace Yoi.Runtime.Control;

/// <summary>
/// The Pod's one mailbox: decides what each method does in each state, one run at a time. What happened comes out of the
/// journal; a method's answer comes out of <see cref="HandleAsync"/>.
/// </summary>
internal sealed class PodController
{
    /// <summary>
    /// Does what a client asks. Completes when it is accepted (journalled as durable as the method demands), not when it has
    /// run its course. <c>hello</c>, <c>read</c>, <c>attach</c> and <c>get_history</c> are the connection's own business.
    /// </summary>
    /// <exception cref="RefusedException">Refused, with a code and what would have worked.</exception>
    internal Task<ReplyResult> HandleAsync(Method method, Caller caller) => throw new NotImplementedException();

    /// <summary>What the Pod does now. Never waits for anything.</summary>
    internal PodStatus Status() => throw new NotImplementedException();

    /// <summary>Completes when the Pod has ended its work and written its end entry; the process may exit.</summary>
    internal Task Completion => throw new NotImplementedException();
}
