using System.ComponentModel;
using System.Diagnostics;

namespace Yoi.Runtime.Configuration;

/// <summary>Fetches a provider's key from where the user's settings say. What it returns is written nowhere.</summary>
internal static class KeySources
{
    private static readonly TimeSpan CommandLimit = TimeSpan.FromSeconds(30);

    /// <summary>A key anew from where a journal says that it came from. A command is run only if the user's settings still name it.</summary>
    /// <param name="source"><c>env:NAME</c>, <c>file:PATH</c>, <c>command:PROGRAM</c> or <c>none</c>.</param>
    /// <exception cref="ModelChoiceException">It is not there any more.</exception>
    internal static async Task<string?> AgainAsync(
        string source, string provider, Settings settings, Func<string, string?> environment, TimeProvider time, CancellationToken ct)
    {
        var (kind, rest) = source.Split(':', 2) is [var before, var behind] ? (before, behind) : (source, "");
        switch (kind)
        {
            case "none":
                return null;
            case "env":
                return environment(rest)?.Trim() is { Length: > 0 } key
                    ? key : throw new ModelChoiceException($"the key for {provider} came from {rest}, which is not set; set it");
            case "file":
                return FromFile(provider, rest);
            default:
                // The journal names the program; its arguments, which may be secret, are the settings' alone.
                var command = settings.Providers.GetValueOrDefault(provider)?.ApiKeyCommand is [var program, ..] named && program == rest ? named
                    : throw new ModelChoiceException($"the key for {provider} came from `{rest}`, which the settings do not name any more; name it there again as `api_key_command`");
                return await FromCommandAsync(provider, command, time, ct);
        }
    }

    internal static string FromFile(string provider, string path)
    {
        try
        {
            return Checked(provider, $"the file {path}", File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var why = e is FileNotFoundException or DirectoryNotFoundException ? "the file is not there" : e.Message;
            throw new ModelChoiceException($"the key for {provider} cannot be read from {path}: {why}; put it there, or change `providers.{provider}` in yoi.jsonc");
        }
    }

    internal static async Task<string> FromCommandAsync(string provider, IReadOnlyList<string> command, TimeProvider time, CancellationToken ct)
    {
        var what = $"`{string.Join(' ', command)}`";
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using var limit = new CancellationTokenSource(CommandLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            using var process = Process.Start(start)!;
            try
            {
                process.StandardInput.Close();
                var output = process.StandardOutput.ReadToEndAsync(either.Token);
                var error = process.StandardError.ReadToEndAsync(either.Token);
                await process.WaitForExitAsync(either.Token);
                return process.ExitCode == 0
                    ? Checked(provider, what, await output)
                    : throw new ModelChoiceException($"{what}, which prints the key for {provider}, ended with {process.ExitCode}{((await error).Trim().Split('\n')[0] is { Length: > 0 } said ? ": " + said : " and said nothing")}; see that it prints the key, or change `providers.{provider}` in yoi.jsonc");
            }
            finally
            {
                if (!process.HasExited) process.Kill(entireProcessTree: true);
            }
        }
        catch (Win32Exception e)
        {
            throw new ModelChoiceException($"{what}, which prints the key for {provider}, cannot be started: {new Win32Exception(e.NativeErrorCode).Message}; see that it is on the PATH, or change `providers.{provider}` in yoi.jsonc");
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new ModelChoiceException($"{what}, which prints the key for {provider}, took longer than {CommandLimit.TotalSeconds:0} s");
        }
    }

    private static string Checked(string provider, string where, string text)
    {
        var key = text.Trim();
        if (key.Length == 0) throw new ModelChoiceException($"the key for {provider} is empty in {where}");
        return key.All(c => c is > ' ' and < '\x7f')
            ? key : throw new ModelChoiceException($"{where} holds more than a key for {provider}: a key is one line of printable ASCII");
    }
}
