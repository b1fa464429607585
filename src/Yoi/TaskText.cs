namespace Yoi;

/// <summary>A task or a message as an argument, or from stdin.</summary>
internal static class TaskText
{
    /// <param name="what">What it is, as the user calls it.</param>
    /// <exception cref="CommandException">There is none.</exception>
    internal static async Task<string> ReadAsync(Surroundings s, string? argument, string what, CancellationToken ct)
    {
        if (argument is null && s.InputIsTerminal)
            throw new CommandException(ExitCode.Usage, "no task or message; give it in quotes, or pipe it in: `yoi run 'explain this repository'`, `yoi send NAME 'now the tests'`");
        var text = argument is null or "-" ? await PipedText.ReadToEndAsync(s.Input, ct) : argument;
        return text.Trim().Length > 0 ? text : throw new CommandException(ExitCode.Usage, $"the {what} is empty; say what is to be done");
    }
}
