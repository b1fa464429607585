using System.Net;
using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>What a provider says when it fails, in any of its forms: status, JSON of several dialects, an HTML page.</summary>
internal static class ProviderError
{
    private const int LongestText = 2_000;
    private const int LongestPage = 200;

    /// <summary>How providers say that a conversation has grown too long; none has a code that all share.</summary>
    private static readonly string[] OverflowWords =
        ["context_length_exceeded", "exceed_context_size", "prompt is too long", "input is too long", "maximum context length", "context window", "context size"];

    private readonly record struct Told(string? Type, string? Code, string? Text);

    /// <summary>An error inside a stream that began with status 200.</summary>
    internal static ModelException InStream(JsonElement data) => Of(HttpStatusCode.OK, Read(data), retryAfter: null);

    /// <summary>An answer that is no stream.</summary>
    /// <param name="body">The beginning of its body.</param>
    internal static ModelException InAnswer(HttpStatusCode status, string body, TimeSpan? retryAfter) => Of(status, Read(body), retryAfter);

    /// <summary>An error in the words of a script.</summary>
    internal static ModelException Scripted(int status, string? type, string text, bool produced)
    {
        var failure = Of((HttpStatusCode)status, new Told(type, null, text), retryAfter: null);
        return new ModelException(failure.Kind, failure.Message, produced, failure.Retryable);
    }

    /// <summary>Text for one line: control characters become spaces.</summary>
    internal static string Plain(string text, int longest)
    {
        var plain = string.Concat(JsonText.WellFormed(text).Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c)).Trim();
        if (plain.Length <= longest)
            return plain;
        return plain[..(char.IsHighSurrogate(plain[longest - 1]) ? longest - 1 : longest)] + "…";
    }

    private static ModelException Of(HttpStatusCode status, Told told, TimeSpan? retryAfter)
    {
        var (kind, retryable) = Judge((int)status, told);
        var name = told.Type ?? told.Code;
        var mark = string.IsNullOrEmpty(name) ? "" : $" [{Plain(name, 100)}]";
        var text = string.IsNullOrWhiteSpace(told.Text) ? "no further words" : told.Text;
        return new ModelException(kind, $"Client error: API error (status: {(int)status}){mark}: {text}", produced: false, retryable, retryAfter: retryAfter);
    }

    /// <summary>The provider's word for it counts before the status: errors inside a stream have no other.</summary>
    private static (ModelFailure Kind, bool Retryable) Judge(int status, Told told)
    {
        var all = $"{told.Type} {told.Code} {told.Text}";
        if (status is 200 or 400 or 413 or 422 or 500 && OverflowWords.Any(word => all.Contains(word, StringComparison.OrdinalIgnoreCase)))
            return (ModelFailure.ContextOverflow, false);
        if (told.Type == "insufficient_quota" || told.Code == "insufficient_quota")
            return (ModelFailure.RateLimited, false);
        return (told.Type, status) switch
        {
            ("overloaded_error", _) => (ModelFailure.Overloaded, true),
            ("rate_limit_error", _) => (ModelFailure.RateLimited, true),
            ("authentication_error" or "permission_error" or "billing_error", _) => (ModelFailure.Authentication, false),
            ("request_too_large", _) => (ModelFailure.ContextOverflow, false),
            ("timeout_error", _) => (ModelFailure.Timeout, true),
            ("invalid_request_error" or "not_found_error", 200) => (ModelFailure.BadRequest, false),
            (_, 401 or 402 or 403) => (ModelFailure.Authentication, false),
            (_, 408) => (ModelFailure.Timeout, true),
            (_, 413) => (ModelFailure.ContextOverflow, false),
            (_, 429) => (ModelFailure.RateLimited, true),
            (_, 503 or 529) => (ModelFailure.Overloaded, true),
            (_, 200 or 409 or 425 or 500 or 502 or 504 or (>= 520 and <= 524)) => (ModelFailure.Server, true),
            (_, >= 500) => (ModelFailure.Server, false),
            _ => (ModelFailure.BadRequest, false),
        };
    }

    private static Told Read(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = YoiJson.MaxDepth });
            return Read(document.RootElement);
        }
        catch (JsonException)
        {
            return new Told(null, null, Plain(body, LongestPage));
        }
    }

    private static Told Read(JsonElement data)
    {
        // Gemini wraps its errors in a list.
        if (data.ValueKind == JsonValueKind.Array && data.GetArrayLength() > 0)
            data = data[0];
        var error = data.Member("error") ?? data;
        if (error.ValueKind == JsonValueKind.String)
            return new Told(null, null, Plain(error.Text(), LongestText));
        var text = error.Text("message") ?? error.Text("detail");
        var type = error.Text("type");
        return new Told(type == "error" ? null : type, error.Text("code") ?? error.Text("status"),
            Plain(text ?? error.ToString(), text is null ? LongestPage : LongestText));
    }
}
