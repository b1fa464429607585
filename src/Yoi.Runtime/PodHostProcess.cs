using System.Runtime.InteropServices;
using System.Text.Json;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Models;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime;

/// <summary>
/// What <c>yoi serve</c> does: reads the launch document and the secrets, serves one Pod, and answers on stdout exactly once:
/// ready, or why it cannot be. Signals end the Pod as <c>shutdown</c> does.
/// </summary>
internal static class PodHostProcess
{
    /// <returns>The exit code: 0, or 1 if the Pod could not start.</returns>
    internal static async Task<int> RunAsync(Stream input, Stream output, TimeProvider time)
    {
        var answered = false;
        Console.SetError(new StderrLog());
        LaunchDocument? document = null;
        Libc.ForbidCoreDumps(); // A Pod's memory holds its key.
        try
        {
            (document, var secrets) = ReadLaunch(input);
            Libc.AdoptOrphans();
            ProcessWatcher.AdoptsOrphans = true;
            await using var host = new PodHost(document, secrets, time);
            var controller = await host.StartAsync(CancellationToken.None);
            using var signals = new StopSignals(controller);
            Failpoint.Pass(Failpoints.ChildReady);
            answered = true;
            if (!await AnswerAsync(output, new LaunchAnswer(true, Environment.ProcessId, document.Directories.Socket(document.PodId), null))) return 1;
            controller.StartWaiting();
            // What starting needed is given back to the machine once: an idle Pod holds about a megabyte less.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            await controller.Completion;
            return 0;
        }
        catch (Exception e) when (e is ScopeException or JournalException or ModelException or PathException or IOException or InvalidDataException or UnauthorizedAccessException && !answered)
        {
            if (!await AnswerAsync(output, new LaunchAnswer(false, Environment.ProcessId, null, e.Message)) && document is not null)
                EndRecord.RemoveUnborn(new KnownPod(document.Name, document.PodId, document.Directories.Pod(document.Name, document.PodId)));
            return 1;
        }
    }

    // Waits on this thread: there is nothing else to be done yet.
    private static (LaunchDocument, LaunchSecrets) ReadLaunch(Stream input)
    {
        using var reader = new StreamReader(input);
        var document = reader.ReadLine() ?? throw new InvalidDataException("nothing on stdin: yoi itself starts `yoi serve`; use `yoi run` or `yoi start`");
        var secrets = reader.ReadLine() ?? "{}";
        try
        {
            // A context of its own, so that the collection after the start finds it gone: it is never needed again.
            var json = new LaunchJson(new JsonSerializerOptions(LaunchJson.Default.Options));
            var parsed = JsonSerializer.Deserialize(document, json.LaunchDocument) ?? throw new InvalidDataException("no launch document");
            if (parsed.Version != LaunchDocument.CurrentVersion)
                throw new InvalidDataException($"launch document version {parsed.Version} is not {LaunchDocument.CurrentVersion}: yoi was replaced on disk; start the Pod again");
            return (parsed, JsonSerializer.Deserialize(secrets, json.LaunchSecrets) ?? new LaunchSecrets(null, null));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"the launch document cannot be read (was yoi replaced on disk?): {e.Message}");
        }
    }

    /// <summary>False if whoever started this Pod is gone: nobody will send it anything.</summary>
    private static async Task<bool> AnswerAsync(Stream output, LaunchAnswer answer)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(answer, LaunchJson.Default.LaunchAnswer), (byte)'\n'];
        try
        {
            await output.WriteAsync(line);
            await output.FlushAsync();
            return true;
        }
        catch (IOException e)
        {
            await Console.Error.WriteLineAsync($"yoi: nobody waits for this Pod any more: {e.Message}");
            return false;
        }
    }

    private sealed class StopSignals(PodController controller) : IDisposable
    {
        private readonly PosixSignalRegistration[] _registered = [On(PosixSignal.SIGTERM, controller), On(PosixSignal.SIGINT, controller), On(PosixSignal.SIGHUP, controller)];

        private static PosixSignalRegistration On(PosixSignal signal, PodController controller) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            controller.Shutdown($"signal {context.Signal}");
        });

        public void Dispose()
        {
            foreach (var registration in _registered) registration.Dispose();
        }
    }
}
