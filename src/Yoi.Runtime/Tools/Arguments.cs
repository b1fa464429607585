using System.Globalization;
using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Tools;

/// <summary>
/// The arguments of one call, read strictly against the tool's schema. Every mistake is a <see cref="ToolFailure"/> that a model
/// can mend: it names the field, what was expected, what came, and the nearest known name. JSON null counts as absent.
/// </summary>
internal sealed class Arguments
{
    private readonly JsonElement _given;
    private readonly JsonElement _schema;
    private readonly JsonElement _root;
    private readonly string _where;

    /// <summary>Checks that the arguments are an object with known fields only.</summary>
    /// <exception cref="ToolFailure">They are not.</exception>
    internal Arguments(JsonElement given, ToolSchema schema)
        : this(given, schema.Parameters, schema.Parameters, "") { }

    private Arguments(JsonElement given, JsonElement schema, JsonElement root, string where)
    {
        (_given, _schema, _root, _where) = (given, schema, root, where);
        if (given.ValueKind != JsonValueKind.Object)
            throw new ToolFailure($"{(where.Length == 0 ? "the arguments" : $"`{where[..^1]}`")} must be a JSON object, not {Kind(given)}. {Fields()}");
        foreach (var field in given.EnumerateObject())
        {
            var name = Decode(() => field.Name, "a field's name");
            if (Known().Contains(name)) continue;
            var hint = Nearest(name, Known()) is { } near ? $"; did you mean `{_where}{near}`?" : ".";
            throw new ToolFailure($"unknown field `{_where}{Shorten(name)}`{hint} {Fields()}");
        }
    }

    /// <summary>A text that must be there. It may be empty.</summary>
    internal string Text(string name) => TextOrNull(name) ?? throw new ToolFailure($"missing field `{_where}{name}` (string). {Fields()}");

    /// <summary>A text, or null if it is absent.</summary>
    internal string? TextOrNull(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => Decode(() => text.GetString()!, $"`{_where}{name}`"),
        { } other => throw Wrong(name, "a string", other),
    };

    /// <summary>True or false; <paramref name="otherwise"/> if it is absent.</summary>
    internal bool Flag(string name, bool otherwise = false) => Find(name) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw Wrong(name, "true or false", other),
    };

    /// <summary>A whole number within the limits, or null if it is absent.</summary>
    internal int? Number(string name, int least = 0, int most = int.MaxValue)
    {
        if (Find(name) is not { } given) return null;
        var range = most == int.MaxValue ? $"a whole number of at least {least}" : $"a whole number from {least} to {most}";
        if (given.ValueKind != JsonValueKind.Number || !given.TryGetDouble(out var value) || value != Math.Floor(value)) throw Wrong(name, range, given);
        if (value < least || value > most) throw Wrong(name, range, given);
        return (int)value;
    }

    /// <summary>One of a few words; <paramref name="otherwise"/> if it is absent.</summary>
    internal string Choice(string name, string otherwise, params ReadOnlySpan<string> words)
    {
        if (TextOrNull(name) is not { } given) return otherwise;
        foreach (var word in words)
            if (word == given) return given;
        var hint = Nearest(given, words.ToArray()) is { } near ? $"; did you mean \"{near}\"?" : "";
        throw new ToolFailure($"`{_where}{name}` is \"{Shorten(given)}\"{hint} It must be one of: {string.Join(", ", words.ToArray())}.");
    }

    /// <summary>A list of texts; empty if it is absent.</summary>
    internal IReadOnlyList<string> Texts(string name) =>
        [.. Elements(name, "a list of strings").Select((item, index) =>
            item.ValueKind == JsonValueKind.String ? Decode(() => item.GetString()!, $"`{_where}{name}[{index}]`") : throw Wrong($"{name}[{index}]", "a string", item))];

    /// <summary>A list of objects, each checked against the schema of the list's items; empty if it is absent.</summary>
    internal IReadOnlyList<Arguments> Objects(string name)
    {
        var items = Resolve(Resolve(_schema.GetProperty("properties").GetProperty(name)).GetProperty("items"));
        return [.. Elements(name, "a list of objects").Select((item, index) => new Arguments(item, items, _root, $"{_where}{name}[{index}]."))];
    }

    /// <summary>True if the field was given and is not null.</summary>
    internal bool Has(string name) => Find(name) is not null;

    /// <summary>A text field, without any check and without ever throwing: for deciding the order of calls.</summary>
    internal static string? Peek(JsonElement given, string name)
    {
        if (given.ValueKind != JsonValueKind.Object || !given.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null; // Half of a surrogate pair: the call itself will be refused.
        }
    }

    /// <summary>The known name that was probably meant, or null.</summary>
    internal static string? Nearest(string given, IEnumerable<string> known)
    {
        var best = known.Select(name => (name, distance: Distance(given, name))).OrderBy(pair => pair.distance).FirstOrDefault();
        if (best.name is null) return null;
        var related = given.Length > 2 && (best.name.Contains(given, StringComparison.OrdinalIgnoreCase) || given.Contains(best.name, StringComparison.OrdinalIgnoreCase));
        if (related || best.distance <= Math.Max(1, best.name.Length / 3)) return best.name;
        return known.FirstOrDefault(name => given.Length > 2 && name.Contains(given, StringComparison.OrdinalIgnoreCase));
    }

    private JsonElement[] Elements(string name, string expected) => Find(name) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray()],
        { } other => throw Wrong(name, expected, other),
    };

    private JsonElement? Find(string name) =>
        _given.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private HashSet<string> Known() =>
        _schema.TryGetProperty("properties", out var properties) ? [.. properties.EnumerateObject().Select(p => p.Name)] : [];

    private string Fields()
    {
        var required = _schema.TryGetProperty("required", out var list) ? list.EnumerateArray().Select(e => e.GetString()!).ToHashSet() : [];
        var known = Known().Select(name => required.Contains(name) ? $"{_where}{name} (required)" : _where + name).ToArray();
        return known.Length == 0 ? "It takes no fields." : $"Fields: {string.Join(", ", known)}.";
    }

    /// <summary>Follows a local <c>$ref</c>.</summary>
    private JsonElement Resolve(JsonElement schema)
    {
        if (!schema.TryGetProperty("$ref", out var reference)) return schema;
        return reference.GetString()!.TrimStart('#', '/').Split('/').Aggregate(_root, (at, step) => at.GetProperty(step));
    }

    private ToolFailure Wrong(string name, string expected, JsonElement given) => new($"`{_where}{name}` must be {expected}, not {Kind(given)}.");

    /// <summary>A lone surrogate is legal JSON and no text.</summary>
    private static string Decode(Func<string> text, string what)
    {
        try
        {
            return text();
        }
        catch (InvalidOperationException)
        {
            throw new ToolFailure($"{what} holds half of a surrogate pair (a broken \\u escape); send whole characters.");
        }
    }

    private static string Kind(JsonElement given) => given.ValueKind switch
    {
        JsonValueKind.String => $"the string {Shorten(given.GetRawText())}",
        JsonValueKind.Number => Shorten(given.GetRawText()),
        JsonValueKind.Array => string.Create(CultureInfo.InvariantCulture, $"a list of {given.GetArrayLength()}"),
        JsonValueKind.Object => "an object",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };

    private static string Shorten(string text) => text.Length <= 60 ? text : string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[59]) ? 59 : 60), "…");

    /// <summary>Edit distance of two short names, without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        if (a.Length > 64) return int.MaxValue;
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + cost));
            }
        }
        return row[^1];
    }
}
