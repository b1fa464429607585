namespace Yoi.Protocol;

/// <summary>
/// Where Yoi keeps things. State: journals, life-locks and the scope table; must survive a logout.
/// Runtime: sockets and tokens only; may vanish at any time.
/// </summary>
/// <param name="State"><c>$YOI_HOME/state</c>, else <c>$XDG_STATE_HOME/yoi</c>, else <c>~/.local/state/yoi</c>.</param>
/// <param name="Runtime"><c>$YOI_HOME/run</c>, else <c>$XDG_RUNTIME_DIR/yoi</c>, else <c>/tmp/yoi-UID</c>.</param>
/// <param name="Config"><c>$YOI_HOME/config</c>, else <c>$XDG_CONFIG_HOME/yoi</c>, else <c>~/.config/yoi</c>.</param>
public sealed record YoiDirectories(string State, string Runtime, string Config)
{
    /// <summary>Finds the directories from the environment. Creates nothing.</summary>
    /// <param name="environment">Looks a variable up; null or empty means unset.</param>
    /// <param name="uid">The user's numeric id.</param>
    /// <exception cref="ArgumentException"><c>YOI_HOME</c> is not absolute. (The XDG variables are ignored then, as their specification says.)</exception>
    public static YoiDirectories Find(Func<string, string?> environment, uint uid)
    {
        string? Variable(string name) => environment(name) is { Length: > 0 } value && value[0] == '/' ? value.TrimEnd('/') : null;
        if (environment("YOI_HOME") is { Length: > 0 } relative && relative[0] != '/')
            throw new ArgumentException($"YOI_HOME is \"{relative}\"; it must be an absolute path");
        if (Variable("YOI_HOME") is { } root) return new(root + "/state", root + "/run", root + "/config");
        var home = Variable("HOME") ?? "";
        return new(
            (Variable("XDG_STATE_HOME") ?? home + "/.local/state") + "/yoi",
            Variable("XDG_RUNTIME_DIR") is { } run ? run + "/yoi" : $"/tmp/yoi-{uid}",
            (Variable("XDG_CONFIG_HOME") ?? home + "/.config") + "/yoi");
    }

    /// <summary>Directory of all Pods' durable files.</summary>
    public string Pods => State + "/pods";

    /// <summary>Who may write what, now.</summary>
    public string ScopeTable => State + "/scopes.json";

    /// <summary>The lock that guards the scope table; never renamed, never removed.</summary>
    public string ScopeLock => State + "/scopes.lock";

    /// <summary>Durable directory of one Pod: <c>pods/NAME.ID</c>. The newest id of a name sorts last.</summary>
    public string Pod(string name, string podId) => $"{Pods}/{name}.{podId}";

    /// <summary>Socket of one Pod: <c>ID.sock</c> in the runtime directory.</summary>
    public string Socket(string podId) => $"{Runtime}/{podId}.sock";

    /// <summary>File with the token by which a child proves itself to its spawner.</summary>
    public string Token(string childId) => $"{Runtime}/{childId}.token";

    /// <summary>All that one Pod has in the runtime directory, also what is on its way to its name.</summary>
    private string[] RuntimeFiles(string podId) => Directory.Exists(Runtime) ? Directory.GetFiles(Runtime, podId + ".*") : [];

    /// <summary>Removes token and socket of a Pod that is gone: one that was killed leaves them.</summary>
    internal void RemoveRuntimeFiles(string podId)
    {
        try
        {
            foreach (var path in RuntimeFiles(podId)) File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The runtime directory may vanish at any time; what is left there is of no use to anybody.
        }
    }
}

/// <summary>Durable files of one Pod.</summary>
public static class PodFiles
{
    /// <summary>The append-only log: docs/journal.md.</summary>
    public const string Journal = "journal.jsonl";
    /// <summary>The life-lock: its process holds byte 0 of it for life.</summary>
    public const string Lock = "pod.lock";
    /// <summary>What its process wrote to stderr; begun anew when it is large.</summary>
    public const string Stderr = "stderr.log";

    /// <summary>That the journal was found sound, and as which file with which times; may be missing.</summary>
    public const string Verdict = "journal.sound";

    /// <summary>Directory with one file for each command that may be running.</summary>
    public const string Commands = "commands";
}

/// <summary>Names of Pods.</summary>
public static class PodName
{
    /// <summary>Longest name, in characters.</summary>
    public const int MaxLength = 64;

    /// <summary>Null if the name is good, else what is wrong with it.</summary>
    public static string? Problem(string? name)
    {
        if (string.IsNullOrEmpty(name)) return "a Pod needs a name";
        if (name.Length > MaxLength) return $"a Pod's name has at most {MaxLength} characters";
        if (!char.IsAsciiLetterOrDigit(name[0])) return "a Pod's name begins with an ASCII letter or digit";
        return name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
            ? null : "a Pod's name is made of ASCII letters, digits, '-' and '_'";
    }

    /// <summary>A new Pod id: 32 hex digits (UUID version 7), so that ids sort by time.</summary>
    public static string NewId(TimeProvider time) => Guid.CreateVersion7(time.GetUtcNow()).ToString("n");
}
