using System.Text.Json;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>What a background command wrote since it was last asked, and whether it still runs; or the list of them.</summary>
internal sealed class BashOutputTool(Shell shell, TimeProvider time) : Tool
{
    private const int MostWaitSeconds = 600;

    internal override Protocol.ToolSchema Schema { get; } = Resources.Schema("BashOutput", "Tools/Shell/BashOutput");

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var wait = given.Number("wait_seconds", 0, MostWaitSeconds) ?? 0;
        if (given.TextOrNull("name") is not { } name) return List();
        var command = shell.Named(name);
        if (wait > 0) await WaitAsync(command, TimeSpan.FromSeconds(wait), ct);
        return Show(command);
    }

    private ToolOutcome List()
    {
        var all = shell.Known;
        return all.Count == 0 ? new("no background commands")
            : new($"{all.Count} background command(s)", string.Join('\n', all.Select(command => $"{command.Name} [{command.State}] {command.Line}")));
    }

    private ToolOutcome Show(ShellCommand command)
    {
        // The state first: what is written after it is shown next time, and never lost.
        var (state, end) = (command.State, command.End);
        var output = command.Process.Output;
        var length = output.Length;
        var from = Math.Min(command.Shown, length); // Of what could not be kept nothing is left.
        var skipped = length - from > CommandText.InlineBytes ? length - from - CommandText.InlineBytes : 0;
        var text = output.Text(from + skipped, (int)(length - from - skipped)).TrimEnd('\n');
        command.Shown = length;
        if (skipped > 0) text = $"[{skipped} bytes left out; all of it is in {shell.PathOf(output)}, which commands can read]\n" + text;
        if (length > from && !output.IsKept) text = "[what it wrote was removed to make room for the output of later commands]";
        foreach (var line in end is null ? [] : end.Found.Concat(end.Limits)) text += $"\n[yoi] {line}";
        return new($"`{command.Name}` [{state}]; {(length == from ? "nothing new" : $"{length - from} new byte(s)")}", text.Length == 0 ? null : text);
    }

    /// <summary>Until there is something new, or it ends, or the time is over.</summary>
    private async Task WaitAsync(ShellCommand command, TimeSpan limit, CancellationToken ct)
    {
        try
        {
            while (command.Process.Output.More is var more && command.Process.Output.Length == command.Shown && !command.Ended.IsCompleted)
                await Task.WhenAny(more, command.Ended).WaitAsync(limit, time, ct);
        }
        catch (TimeoutException)
        {
            // Nothing new: which is what is then said.
        }
    }
}

/// <summary>Ends a background command and everything below it. Runs alone: a lending after it may count on it.</summary>
internal sealed class KillBashTool(Shell shell) : Tool
{
    internal override Protocol.ToolSchema Schema { get; } = Resources.Schema("KillBash", "Tools/Shell/KillBash");

    internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Alone;

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var command = shell.Named(new Arguments(call.Arguments, Schema).Text("name"));
        if (command.End is not null) return new($"`{command.Name}` had already {command.State}");
        command.Kill("killed");
        await command.Ended.WaitAsync(ct);
        return new($"`{command.Name}` and everything it had started is gone");
    }
}
