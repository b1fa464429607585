using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Socket;
using Yoi.Tests.Spawning;

namespace Yoi.Tests;

/// <summary>
/// A real Pod process (<c>yoi serve</c> of this build, started by the launcher) in a state root of its own. Disposed, it kills
/// what still runs below that root and has seen it gone.
/// </summary>
internal sealed class RealPod : IAsyncDisposable
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private RealPod(SpawningRoot root, LaunchDocument document, LaunchedPod launched) => (Root, Document, Launched) = (root, document, launched);

    /// <summary>The program as it was built beside these tests.</summary>
    internal static string Built { get; } = Path.Combine(AppContext.BaseDirectory, "yoi");

    /// <summary>The program that Pods and keepers of these tests run: that which YOI_BIN names, else <see cref="Built"/>.</summary>
    internal static string Yoi { get; } = Environment.GetEnvironmentVariable("YOI_BIN") is { Length: > 0 } given ? Path.GetFullPath(given) : Built;

    internal SpawningRoot Root { get; }

    internal LaunchDocument Document { get; }

    internal LaunchedPod Launched { get; }

    internal string Socket => Launched.Socket;

    internal string Directory => Root.Directories.Pod(Document.Name, Document.PodId);

    internal PodProcess Process => Launched.Process;

    /// <summary>Starts one whose model knows the commands of docs/models.md, or answers from <paramref name="script"/>.</summary>
    /// <param name="change">What is different in its launch document.</param>
    internal static async Task<RealPod> StartAsync(
        string name = "lead", Func<LaunchDocument, LaunchDocument>? change = null, string? script = null, SpawningRoot? root = null)
    {
        root ??= new SpawningRoot();
        try
        {
            var document = root.Document(name);
            document = document with { RootId = document.PodId };
            if (script is not null)
            {
                var file = Path.Combine(root.Path, $"{name}.script.jsonc");
                await File.WriteAllTextAsync(file, script, ServedRoom.Ct);
                document = document with { Model = document.Model with { Script = file } };
            }
            document = change?.Invoke(document) ?? document;
            return new RealPod(root, document, await LaunchAsync(document));
        }
        catch
        {
            root.Dispose();
            throw;
        }
    }

    internal static Task<LaunchedPod> LaunchAsync(LaunchDocument document) => PodLauncher.StartAsync(
        new PodProgram(Yoi, [Yoi, "serve"]), document, new LaunchSecrets(null, null), Patience, TimeProvider.System, ServedRoom.Ct);

    internal Task<PodClient> ClientAsync(string? token = null) => PodClient.ConnectAsync(Socket, "test", token, Patience, ServedRoom.Ct);

    internal Task<RawClient> ConnectAsync() => RawClient.ConnectAsync(Socket, Patience);

    /// <summary>All records of a Pod of this root, as they are on disk.</summary>
    internal IReadOnlyList<JournalRecord> Records(string? name = null) =>
        new PodRegistry(Root.Directories).Newest(name ?? Document.Name)!.Journal.ReadAfter(Cursor.Start, out _);

    /// <summary>Waits for its own end.</summary>
    internal Task<ProcessExit> ExitAsync() => Process.Exited.WaitAsync(Patience, ServedRoom.Ct);

    public async ValueTask DisposeAsync()
    {
        // A Pod that is being killed may have spawned one that was not seen yet: look until nobody lives.
        for (var living = Living(); living.Count > 0; living = Living())
        {
            foreach (var process in living)
            {
                process.Signal(Libc.SigKill);
                await process.Exited.WaitAsync(Patience, CancellationToken.None);
                process.Dispose();
            }
        }
        Process.Dispose();
        Root.Dispose();
    }

    private List<PodProcess> Living() => [.. new PodRegistry(Root.Directories).All().Where(pod => pod.IsAlive).Select(pod => pod.FindProcess()).OfType<PodProcess>()];
}
