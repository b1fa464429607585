using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

/// <summary>
/// A directory W that may be written, a directory O beside it that must not be seen, and the five tools. What is in O is
/// remembered at the start: content, owner, mode, times and attributes must be the same after every attack.
/// </summary>
internal sealed class FileRoom : IDisposable
{
    internal const string Canary = "outside and secret\n";

    private readonly string _root;
    private readonly Dictionary<string, Tool> _tools;
    private string? _before;

    internal FileRoom(params ScopeRule[] allow)
    {
        _root = ScopeRoots.Resolve(Directory.CreateTempSubdirectory("yoi-files-").FullName, "/");
        Directory.CreateDirectory(W);
        Directory.CreateDirectory(O + "/d");
        File.WriteAllText(O + "/f", Canary);
        File.WriteAllText(O + "/d/f", Canary);
        File.SetUnixFileMode(O + "/f", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Native.SetAttribute(O + "/f", "user.canary", "sings");
        Policy = new(new(allow.Length > 0 ? allow : [new(W, Permission.Write)], []), [], 1);
        Files = new(() => Policy, Leases, W);
        _tools = FileTools.All(Files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
    }

    internal string Root => _root;
    internal string W => _root + "/W";
    internal string O => _root + "/O";
    internal ScopePolicy Policy { get; set; }
    internal LeaseGate Gate { get; } = new();
    internal ScopedFiles Files { get; }

    internal void Deny(params ScopeRule[] rules) => Policy = Policy with { Rules = Policy.Rules with { Deny = rules } };

    internal void Allow(params ScopeRule[] rules) => Policy = Policy with { Rules = Policy.Rules with { Allow = rules } };

    internal void Lend(string child, params ScopeRule[] rules) => Policy = Policy with { Lent = [new(child, "id-" + child, rules, 2)] };

    internal string Put(string path, string content)
    {
        var full = Path.Combine(W, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
        return full;
    }

    internal string Put(string path, byte[] content)
    {
        File.WriteAllBytes(Put(path, ""), content);
        return Path.Combine(W, path);
    }

    internal string Link(string path, string target)
    {
        var full = Path.Combine(W, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.CreateSymbolicLink(full, target);
        return full;
    }

    internal Tool Tool(string name) => _tools[name];

    internal Task<ToolOutcome> Run(string tool, params (string Name, JsonNode? Value)[] arguments) =>
        _tools[tool].RunAsync(new ToolCall("call", tool, Json(arguments)), TestContext.Current.CancellationToken);

    internal async Task<string> Refused(string tool, params (string Name, JsonNode? Value)[] arguments) =>
        (await Assert.ThrowsAsync<ToolFailure>(() => Run(tool, arguments))).Message;

    /// <summary>Reads, so that the file may be changed, then writes.</summary>
    internal async Task<ToolOutcome> Overwrite(string path, string content)
    {
        await Run("Read", ("file_path", path));
        return await Run("Write", ("file_path", path), ("content", content));
    }

    internal async Task<string> Read(string path) => (await Run("Read", ("file_path", path))).Content ?? "";

    internal static JsonElement Json(params (string Name, JsonNode? Value)[] arguments)
    {
        var json = new JsonObject();
        foreach (var (name, value) in arguments) json[name] = value;
        using var document = JsonDocument.Parse(json.ToJsonString());
        return document.RootElement.Clone();
    }

    /// <summary>To be called when the scene is set, before the attack.</summary>
    internal void RememberOutside() => _before = Outside();

    /// <summary>Everything outside of the scope is as it was.</summary>
    internal void AssertOutsideUntouched() => Assert.Equal(_before ?? throw new InvalidOperationException("nothing remembered"), Outside());

    /// <summary>No spare file was left behind.</summary>
    internal void AssertNoSpareFiles() => Assert.Empty(Directory.EnumerateFiles(W, ".yoi-*", SearchOption.AllDirectories));

    public void Dispose()
    {
        Files.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    internal string Outside() => string.Join('\n', Directory.EnumerateFileSystemEntries(O, "*", SearchOption.AllDirectories).Append(O).Order(StringComparer.Ordinal)
        .Select(path => $"{path} {Native.Describe(path)} {(File.Exists(path) ? Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path))) : "")}"));

    private ValueTask<IDisposable> Leases(CancellationToken ct) => Gate.EnterAsync(exclusive: false, ct);
}
