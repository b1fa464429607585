using System.Text;

namespace Yoi.Runtime.Models.Wire;

/// <summary>A provider's key. It goes into one header and nowhere else: <c>Hide</c> takes it out of every text that leaves.</summary>
internal sealed class Key
{
    private const int ShortestHidden = 6;
    private readonly string? _value;
    private readonly string[] _forms = [];

    /// <exception cref="ModelException">The key cannot be part of a header.</exception>
    internal Key(string? value)
    {
        _value = string.IsNullOrWhiteSpace(value) ? null : value.Trim();
        if (_value is null)
            return;
        if (_value.Any(c => c is < '!' or > '~'))
            throw new ModelException(ModelFailure.Authentication, "the key holds characters that no key has (blanks, controls or non-ASCII)", produced: false, retryable: false);
        if (_value.Length >= ShortestHidden)
            _forms = [_value, Convert.ToBase64String(Encoding.ASCII.GetBytes(_value)).TrimEnd('='), Uri.EscapeDataString(_value)];
    }

    internal string? Value => _value;

    /// <summary>The text without the key in any of its usual forms.</summary>
    internal string Hide(string text)
    {
        foreach (var form in _forms)
            text = text.Replace(form, "[key]", StringComparison.OrdinalIgnoreCase);
        return text;
    }

    /// <summary>The failure as it may leave: without the key, and saying whether anything was handed out.</summary>
    internal ModelException Hide(ModelException failure, bool produced)
    {
        var inner = failure.InnerException is { } cause && Hide(cause.ToString()) == cause.ToString() ? cause : null;
        return new ModelException(failure.Kind, Hide(failure.Message), produced, failure.Retryable, inner, failure.RetryAfter, failure.Broke);
    }

    public override string ToString() => _value is null ? "no key" : "[key]";
}
