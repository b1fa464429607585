using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Scripted;

/// <summary>Reads a script file (JSON with comments). Whatever is not understood is an error with its line and the nearest known name.</summary>
internal sealed class ScriptReader
{
    private static readonly TimeSpan LongestMatch = TimeSpan.FromSeconds(1);
    private readonly string _file;
    private readonly byte[] _bytes;

    private delegate void MemberReader(ref Utf8JsonReader reader, string name);

    private ScriptReader(string file, byte[] bytes) => (_file, _bytes) = (file, bytes);

    /// <exception cref="ModelException">The file cannot be read or understood.</exception>
    internal static Script Read(string file)
    {
        try
        {
            return Read(file, File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelException(ModelFailure.BadRequest, $"the script {file} cannot be read: {e.Message}", produced: false, retryable: false, e);
        }
    }

    /// <exception cref="ModelException">The content cannot be understood.</exception>
    internal static Script Read(string file, byte[] bytes)
    {
        var self = new ScriptReader(file, bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes[3..] : bytes);
        var reader = new Utf8JsonReader(self._bytes, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        try
        {
            reader.Read();
            var pods = new Dictionary<string, PodScript>(StringComparer.Ordinal);
            self.Members(ref reader, "a script", ["pods"], (ref Utf8JsonReader pod, string _) =>
                self.Members(ref pod, "pods", null, (ref Utf8JsonReader one, string name) => pods.Add(name, self.Pod(ref one))));
            return new Script(pods);
        }
        catch (JsonException e)
        {
            throw self.Wrong((int)(e.LineNumber ?? 0) + 1, $"is no JSON: {e.Message}");
        }
        catch (InvalidOperationException e)
        {
            throw self.Wrong(self.Line(reader), e.Message);
        }
    }

    private PodScript Pod(ref Utf8JsonReader reader)
    {
        List<ScriptedReply> replies = [];
        var commands = false;
        Usage? usage = null;
        Members(ref reader, "a Pod's script", ["replies", "commands", "usage"], (ref Utf8JsonReader value, string name) =>
        {
            switch (name)
            {
                case "replies": Items(ref value, name, (ref Utf8JsonReader item, string _) => replies.Add(Reply(ref item))); break;
                case "commands": commands = Flag(ref value, name); break;
                case "usage": usage = Tokens(ref value); break;
            }
        });
        return new PodScript(replies, commands, usage);
    }

    private ScriptedReply Reply(ref Utf8JsonReader reader)
    {
        var reply = new ScriptedReply(null, null, [], [], [], null, 0, null, null, false, false, Line(reader));
        List<ScriptedCall> calls = [];
        Members(ref reader, "a reply", ["when", "expect", "thinking", "text", "calls", "usage", "stall_ms", "error", "stop_reason", "repeat", "cut"],
            (ref Utf8JsonReader value, string name) =>
            {
                switch (name)
                {
                    case "when": reply = reply with { When = Condition(ref value) }; break;
                    case "expect": reply = reply with { Expect = Condition(ref value) }; break;
                    case "thinking": reply = reply with { Thinking = Deltas(ref value, name) }; break;
                    case "text": reply = reply with { Text = Deltas(ref value, name) }; break;
                    case "calls": Items(ref value, name, (ref Utf8JsonReader item, string _) => calls.Add(Call(ref item))); break;
                    case "usage": reply = reply with { Usage = Tokens(ref value) }; break;
                    case "stall_ms": reply = reply with { StallMs = Number(ref value, name) }; break;
                    case "error": reply = reply with { Error = Error(ref value) }; break;
                    case "stop_reason": reply = reply with { StopReason = Text(ref value, name) }; break;
                    case "repeat": reply = reply with { Repeat = Flag(ref value, name) }; break;
                    case "cut": reply = reply with { Cut = Flag(ref value, name) }; break;
                }
            });
        return reply with { Calls = calls };
    }

    private ScriptedCall Call(ref Utf8JsonReader reader)
    {
        var line = Line(reader);
        string? called = null;
        var arguments = "{}";
        Members(ref reader, "a call", ["name", "arguments"], (ref Utf8JsonReader value, string name) =>
        {
            switch (name)
            {
                case "name": called = Text(ref value, name); break;
                case "arguments" when value.TokenType == JsonTokenType.String: arguments = value.GetString()!; break;
                case "arguments": arguments = Compact(JsonElement.ParseValue(ref value)); break;
            }
        });
        return new ScriptedCall(called ?? throw Wrong(line, "a call needs a \"name\""), arguments);
    }

    private ScriptedError Error(ref Utf8JsonReader reader)
    {
        var error = new ScriptedError(500, null, "scripted failure");
        Members(ref reader, "an error", ["status", "type", "message"], (ref Utf8JsonReader value, string name) => error = name switch
        {
            "status" => error with { Status = Number(ref value, name) },
            "type" => error with { Type = Text(ref value, name) },
            _ => error with { Message = Text(ref value, name) },
        });
        return error;
    }

    private ScriptedCondition Condition(ref Utf8JsonReader reader)
    {
        var condition = new ScriptedCondition(null, null, null, null);
        Members(ref reader, "a condition", ["user", "user_matches", "result", "result_matches"], (ref Utf8JsonReader value, string name) => condition = name switch
        {
            "user" => condition with { User = Text(ref value, name) },
            "user_matches" => condition with { UserMatches = Pattern(ref value, name) },
            "result" => condition with { Result = Text(ref value, name) },
            _ => condition with { ResultMatches = Pattern(ref value, name) },
        });
        return condition;
    }

    private Usage Tokens(ref Utf8JsonReader reader)
    {
        var usage = new Usage(null, null);
        Members(ref reader, "usage", ["input", "output", "cache_read", "cache_write"], (ref Utf8JsonReader value, string name) => usage = name switch
        {
            "input" => usage with { InputTokens = Number(ref value, name) },
            "output" => usage with { OutputTokens = Number(ref value, name) },
            "cache_read" => usage with { CacheReadTokens = Number(ref value, name) },
            _ => usage with { CacheWriteTokens = Number(ref value, name) },
        });
        return usage;
    }

    private List<string> Deltas(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType == JsonTokenType.String)
            return [reader.GetString()!];
        List<string> deltas = [];
        Items(ref reader, name, (ref Utf8JsonReader item, string _) => deltas.Add(Text(ref item, name)));
        return deltas;
    }

    private Regex Pattern(ref Utf8JsonReader reader, string name)
    {
        var pattern = Text(ref reader, name);
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant, LongestMatch);
        }
        catch (ArgumentException e)
        {
            throw Wrong(Line(reader), $"\"{name}\" is no regular expression: {e.Message}");
        }
    }

    private string Text(ref Utf8JsonReader reader, string name) =>
        reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw Wrong(Line(reader), $"\"{name}\" must be a text");

    private bool Flag(ref Utf8JsonReader reader, string name) =>
        reader.TokenType is JsonTokenType.True or JsonTokenType.False ? reader.GetBoolean() : throw Wrong(Line(reader), $"\"{name}\" must be true or false");

    private int Number(ref Utf8JsonReader reader, string name) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) && number >= 0
            ? number
            : throw Wrong(Line(reader), $"\"{name}\" must be a whole number from 0 on");

    private void Items(ref Utf8JsonReader reader, string name, MemberReader item)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Wrong(Line(reader), $"\"{name}\" must be a list");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            item(ref reader, name);
    }

    /// <param name="known">The names there are; null where any is taken.</param>
    private void Members(ref Utf8JsonReader reader, string what, string[]? known, MemberReader member)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Wrong(Line(reader), $"{what} must be an object");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString()!;
            if (known is not null && !known.Contains(name))
                throw Wrong(Line(reader), $"{what} has no \"{name}\"; did you mean \"{Nearest(name, known)}\"? It has {string.Join(", ", known)}");
            if (!seen.Add(name))
                throw Wrong(Line(reader), $"\"{name}\" stands here twice");
            reader.Read();
            member(ref reader, name);
        }
    }

    private int Line(in Utf8JsonReader reader) => 1 + _bytes.AsSpan(0, (int)reader.TokenStartIndex).Count((byte)'\n');

    private ModelException Wrong(int line, string what) => new(ModelFailure.BadRequest, $"script {_file}, line {line}: {what}", produced: false, retryable: false);

    private static string Compact(JsonElement value)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, YoiJson.Writer))
            value.WriteTo(writer);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static string Nearest(string name, string[] known) => known.MinBy(candidate => Distance(name, candidate))!;

    /// <summary>Edits between two names (Levenshtein).</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }
}
