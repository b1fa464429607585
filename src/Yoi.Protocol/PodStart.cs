using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Yoi.Protocol;

/// <summary>What <see cref="PodClient.StartAsync"/> starts: a Pod in the background, by the <c>yoi</c> program.</summary>
/// <param name="Name">Name of the Pod: ASCII letters, digits, '-' and '_', at most 64; unique among living Pods.</param>
/// <param name="Task">The first input; it is in the Pod's journal, on disk, when the call returns. Null: the Pod waits for <see cref="PodClient.RunAsync"/>.</param>
public sealed record PodStart(string Name, string? Task = null)
{
    /// <summary>The program: a path, or a name that is looked up on PATH.</summary>
    public string Executable { get; init; } = "yoi";

    /// <summary>The Pod's working directory; the caller's if null. Relative paths below are meant from here.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Paths that the Pod may read and write. With neither list it may write its working directory, and what the settings add.</summary>
    public IReadOnlyList<string> Write { get; init; } = [];

    /// <summary>Paths that the Pod may read.</summary>
    public IReadOnlyList<string> Read { get; init; } = [];

    /// <summary>Model, as in <c>yoi start --model</c>: <c>provider/model</c> or <c>scripted:FILE</c>; the configured one if null.</summary>
    public string? Model { get; init; }

    /// <summary>Further arguments of <c>yoi start</c>, as they are.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Runs the program to its end and returns the Pod's socket.</summary>
    internal async Task<string> RunAsync(CancellationToken ct)
    {
        using var process = new Process { StartInfo = StartInfo() };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            throw new IOException($"cannot run {Executable}: {e.Message}; install yoi, or give its path as Executable", e);
        }
        await GiveTaskAsync(process.StandardInput, ct).ConfigureAwait(false);
        var output = process.StandardOutput.ReadToEndAsync(ct);
        var words = process.StandardError.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct).ConfigureAwait(false);
        var (json, said) = (await output.ConfigureAwait(false), (await words.ConfigureAwait(false)).Trim());
        if (process.ExitCode != 0) throw new IOException($"{Executable} start {Name} failed with exit code {process.ExitCode}: {said}");
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.GetProperty("socket").GetString() ?? throw new JsonException("socket is null");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new IOException($"{Executable} start {Name} did not say where its socket is: {e.Message}; it printed: {json.Trim()}", e);
        }
    }

    /// <summary>On stdin: it may be longer than an argument, begin like a flag, and is nobody else's to see in a list of processes.</summary>
    private async Task GiveTaskAsync(StreamWriter input, CancellationToken ct)
    {
        try
        {
            await input.WriteAsync(Task.AsMemory(), ct).ConfigureAwait(false);
            input.Close();
        }
        catch (IOException)
        {
            // It ended before it had read all: its exit code and words say why.
        }
    }

    private ProcessStartInfo StartInfo()
    {
        var info = new ProcessStartInfo(Executable)
        {
            RedirectStandardInput = true,
            StandardInputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = WorkingDirectory ?? "",
        };
        info.ArgumentList.Add("start");
        info.ArgumentList.Add(Name);
        foreach (var (option, value) in Options())
        {
            info.ArgumentList.Add(option);
            info.ArgumentList.Add(value);
        }
        foreach (var argument in Arguments) info.ArgumentList.Add(argument);
        info.ArgumentList.Add("--json");
        return info;
    }

    private IEnumerable<(string Option, string Value)> Options()
    {
        if (Task is not null) yield return ("--task", "-");
        foreach (var path in Write) yield return ("--write", path);
        foreach (var path in Read) yield return ("--read", path);
        if (Model is not null) yield return ("--model", Model);
    }
}
