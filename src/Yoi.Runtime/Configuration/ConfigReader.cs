using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Configuration;

/// <summary>
/// Reads one <c>yoi.jsonc</c>: JSON with comments and trailing commas. Unknown and doubled keys are errors that name
/// the nearest known key, so that a misspelt setting is never silently without effect.
/// </summary>
internal static class ConfigReader
{
    /// <summary>Name of the settings files.</summary>
    internal const string FileName = "yoi.jsonc";

    private const int ShownChars = 20, MostBytes = 1 << 20;

    private static readonly JsonDocumentOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = 16 };

    /// <summary>Null if there is no such file.</summary>
    /// <exception cref="ConfigException">It is there and cannot be used.</exception>
    internal static YoiConfig? ReadFile(string path)
    {
        byte[] bytes;
        try
        {
            using var file = Libc.Open(path, OpenFlags.ReadOnly | OpenFlags.NonBlock | OpenFlags.NoTerminal | OpenFlags.CloseOnExec | OpenFlags.LargeFile, 0);
            bytes = Bytes(path, file);
        }
        catch (LinuxException e) when (e.Errno is Errno.NoEnt or Errno.NotDir)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException(path, [$"cannot be read: {e.Message}"]);
        }
        return Parse(path, bytes);
    }

    /// <summary>A pipe would hold us up for ever, and whatever goes on and on would fill the memory.</summary>
    private static byte[] Bytes(string path, SafeFileHandle file)
    {
        if (file.IsInvalid) throw Libc.Failed("open " + path);
        var status = Libc.Identify(file, path);
        if (!status.IsFile) throw new IOException("it is no regular file");
        if (status.Size > MostBytes) throw new IOException("it is larger than a mebibyte");
        var bytes = new byte[status.Size];
        return bytes[..RandomAccess.Read(file, bytes, 0)];
    }

    /// <summary>Reads settings from bytes; <paramref name="file"/> is named in errors.</summary>
    internal static YoiConfig Parse(string file, ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Span.StartsWith("\uFEFF"u8)) bytes = bytes[3..];
        if (bytes.Span.Trim(" \t\r\n"u8).IsEmpty) throw new ConfigException(file, ["is empty; remove it, or write `{}` into it"]);
        try
        {
            using var document = JsonDocument.Parse(bytes, Options);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new ConfigException(file, ["is not a JSON object"]);
            List<string> problems = [];
            Walk(document.RootElement, ConfigJson.Default.YoiConfig, "", problems);
            if (problems.Count > 0) throw new ConfigException(file, problems);
            var config = document.Deserialize(ConfigJson.Default.YoiConfig) ?? throw new ConfigException(file, ["is not a JSON object"]);
            problems.AddRange(ValueProblems(config));
            return problems.Count > 0 ? throw new ConfigException(file, problems) : config;
        }
        catch (JsonException e)
        {
            throw new ConfigException(file, [e.Path is { Length: > 2 } path ? $"`{path[2..]}` has a value of the wrong kind" : Malformed(bytes.Span, e)]);
        }
    }

    /// <summary>Where it stops being JSON, what stands there, and what to look for.</summary>
    private static string Malformed(ReadOnlySpan<byte> bytes, JsonException e)
    {
        if (e is not { LineNumber: { } line, BytePositionInLine: { } at }) return "is not a JSON object";
        var text = Encoding.UTF8.GetString(bytes).Split('\n').ElementAtOrDefault((int)line)?.TrimEnd('\r') ?? "";
        var column = Encoding.UTF8.GetCharCount(Encoding.UTF8.GetBytes(text).AsSpan(0, (int)Math.Min(at, Encoding.UTF8.GetByteCount(text))));
        var there = column < text.Length ? $"`{text[column..Math.Min(text.Length, column + ShownChars)].Trim()}` does not belong there" : "the line ends too early";
        return $"line {line + 1}, column {column + 1}: {there}. Look for a quote, comma, colon or bracket that is missing or too many, here or just before";
    }

    private static void Walk(JsonElement element, JsonTypeInfo type, string prefix, List<string> problems)
    {
        if (element.ValueKind != JsonValueKind.Object || type.Kind is not (JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary)) return;
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (var member in element.EnumerateObject())
        {
            var name = prefix + member.Name;
            if (!seen.Add(member.Name)) problems.Add($"`{name}` is there twice; keep one");
            if (type.Kind == JsonTypeInfoKind.Dictionary)
            {
                Walk(member.Value, ConfigJson.Default.GetTypeInfo(type.ElementType!)!, name + ".", problems);
            }
            else if (type.Properties.FirstOrDefault(p => p.Name == member.Name) is { } property)
            {
                if (WrongKind(member.Value.ValueKind, property.PropertyType) is { } wanted) problems.Add($"`{name}` has a value of the wrong kind; it is {wanted}");
                else if (ConfigJson.Default.GetTypeInfo(property.PropertyType) is { } inner) Walk(member.Value, inner, name + ".", problems);
            }
            else
            {
                problems.Add(UnknownKey(name, member.Name, type.Properties.Select(p => p.Name)));
            }
        }
    }

    /// <summary>What a value has to be, in words, if it is something else.</summary>
    private static string? WrongKind(JsonValueKind kind, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        var (wanted, fits) = type == typeof(string) ? ("a text in quotes", kind is JsonValueKind.String)
            : type == typeof(bool) ? ("true or false", kind is JsonValueKind.True or JsonValueKind.False)
            : type == typeof(int) ? ("a whole number", kind is JsonValueKind.Number)
            : type == typeof(IReadOnlyList<string>) ? ("a list of texts in [ ]", kind is JsonValueKind.Array)
            : ("an object in { }", kind is JsonValueKind.Object);
        return fits || kind == JsonValueKind.Null ? null : wanted;
    }

    private static string UnknownKey(string path, string name, IEnumerable<string> known)
    {
        if (name is "api_key" or "key" or "apiKey")
            return $"`{path}`: a key itself is never kept in settings; use api_key_env, api_key_file or api_key_command";
        var names = known.ToList();
        return Nearest(name, names) is { } near
            ? $"unknown key `{path}`; did you mean `{near}`?"
            : $"unknown key `{path}`; known here: {string.Join(", ", names)}";
    }

    /// <summary>The known name nearest to a misspelt one, if one is near enough to be meant.</summary>
    internal static string? Nearest(string name, IEnumerable<string> known) => known
        .Select(candidate => (candidate, distance: Distance(name.ToLowerInvariant().Replace('-', '_'), candidate)))
        .Where(c => c.distance <= Math.Max(2, c.candidate.Length / 3))
        .OrderBy(c => c.distance)
        .Select(c => c.candidate)
        .FirstOrDefault();

    private static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++) row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = row[j];
                row[j] = cost;
            }
        }
        return row[b.Length];
    }

    private static IEnumerable<string> ValueProblems(YoiConfig config)
    {
        (string Name, int? Value)[] numbers =
        [
            ("max_output_tokens", config.MaxOutputTokens), ("thinking_tokens", config.ThinkingTokens),
            ("limits.turns_per_run", config.Limits?.TurnsPerRun), ("limits.pods_in_tree", config.Limits?.PodsInTree), ("limits.tokens", config.Limits?.Tokens),
            ("limits.commands.processes", config.Limits?.Commands?.Processes), ("limits.commands.memory_mb", config.Limits?.Commands?.MemoryMb),
            ("limits.commands.file_mb", config.Limits?.Commands?.FileMb), ("limits.commands.temp_mb", config.Limits?.Commands?.TempMb),
            ("limits.commands.output_mb", config.Limits?.Commands?.OutputMb), ("limits.commands.seconds", config.Limits?.Commands?.Seconds),
            ("timing.connect_ms", config.Timing?.ConnectMs), ("timing.first_event_ms", config.Timing?.FirstEventMs),
            ("timing.silence_ms", config.Timing?.SilenceMs), ("timing.max_tries", config.Timing?.MaxTries),
        ];
        foreach (var (name, value) in numbers)
            if (value < 1) yield return $"`{name}` is {value}; it is at least 1";
        if (config.Limits?.Children < 0) yield return "`limits.children` is negative; 0 means no children";
        if (config.Limits?.Depth < 0) yield return "`limits.depth` is negative; 0 means no children";
        if (config.Retention?.Days is < 0 or > 36_500) yield return $"`retention.days` is {config.Retention.Days}; it is 0 to 36500";
        if (config.Retention?.MaxMb < 0) yield return "`retention.max_mb` is negative; 0 means as little as can be";
        if (config.Sandbox is { } sandbox && !Settings.SandboxWords.Contains(sandbox)) yield return $"`sandbox` is \"{sandbox}\"; it is {string.Join(", ", Settings.SandboxWords)}";
        (string Name, IReadOnlyList<string>? Paths)[] paths =
        [
            ("scope.write", config.Scope?.Write), ("scope.read", config.Scope?.Read), ("scope.deny_write", config.Scope?.DenyWrite), ("scope.deny_read", config.Scope?.DenyRead),
            ("platform_set", config.PlatformSet),
        ];
        foreach (var (name, listed) in paths)
            if (listed?.Any(path => path.Contains('\0')) == true) yield return $"`{name}` has a path with a NUL in it";
        foreach (var (name, provider) in config.Providers ?? new Dictionary<string, ProviderConfig>())
            foreach (var problem in ProviderProblems(name, provider))
                yield return $"`providers.{name}`: {problem}";
    }

    private static IEnumerable<string> ProviderProblems(string name, ProviderConfig provider)
    {
        if (name is "scripted" || name.Length == 0 || name.Contains('/') || name.Contains(':')) yield return "no name for a provider of your own";
        if (provider.Kind is not (null or "anthropic" or "openai")) yield return $"`kind` is \"{provider.Kind}\"; it is anthropic or openai";
        if (name is "anthropic" && provider.Kind is "openai" || name is "openai" or "ollama" && provider.Kind is "anthropic")
            yield return $"`kind` does not fit; give a provider of another kind another name";
        if (provider.BaseUrl is { } url && ProviderAddress.Problem(url) is { } wrong) yield return $"`base_url`: {wrong}";
        if (provider.BaseUrl is null && name is not ("anthropic" or "openai" or "ollama")) yield return "needs a `base_url`";
        if (new object?[] { provider.ApiKeyEnv, provider.ApiKeyFile, provider.ApiKeyCommand }.Count(source => source is not null) > 1)
            yield return "names more than one source for its key; keep one of api_key_env, api_key_file, api_key_command";
        if (provider.ApiKeyFile is { } file && !file.StartsWith('/') && !file.StartsWith("~/", StringComparison.Ordinal))
            yield return "`api_key_file` is absolute or begins with ~/";
        if (provider.ApiKeyFile?.Contains('\0') == true) yield return "`api_key_file` has a NUL in it";
        if (provider.ApiKeyCommand is { Count: 0 }) yield return "`api_key_command` is empty; give a program and its arguments";
    }
}
