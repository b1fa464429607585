using System.Buffers;
using System.Text;

namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// Text that every match of a regular expression contains. Reads only the plain part of a pattern: where anything else could change what
/// a character means, it knows nothing.
/// </summary>
internal ref struct NeededText
{
    private const int Least = 2;

    private static readonly SearchValues<char> Numbers = SearchValues.Create("0123456789,");

    private readonly ReadOnlySpan<char> _pattern;
    private readonly StringBuilder _run = new();
    private string _longest = "";
    private int _at;

    private NeededText(string pattern) => _pattern = pattern;

    /// <summary>The longest such text; null if none is known. For patterns that compile, and that tell upper from lower case.</summary>
    internal static string? Of(string pattern)
    {
        // Options and look-around begin so; an alternative at the top needs nothing.
        if (pattern.Contains("(?", StringComparison.Ordinal)) return null;
        var reading = new NeededText(pattern);
        while (reading._at < pattern.Length)
            if (!reading.Take()) return null;
        reading.EndRun();
        return reading._longest.Length < Least ? null : reading._longest;
    }

    /// <summary>One sign, class, group or quantifier; false if it cannot be told what it means.</summary>
    private bool Take()
    {
        var c = _pattern[_at++];
        switch (c)
        {
            case '|': return false;
            case '(': EndRun(); return SkipGroup();
            case '[': EndRun(); return SkipClass();
            case '.' or '^' or '$': EndRun(); return true;
            case '*' or '?': return DropLast();
            case '+': EndRun(); return true;
            case '{': return TakeBrace();
            case '\\': return TakeEscape();
            case > '~': EndRun(); return true;
            default: _run.Append(c); return true;
        }
    }

    private bool TakeEscape()
    {
        if (_at == _pattern.Length) return false;
        var c = _pattern[_at++];
        if (char.IsAsciiLetterOrDigit(c))
        {
            EndRun();
            return "dDwWsSbBntrfv".Contains(c, StringComparison.Ordinal); // Others have more signs behind them.
        }
        if (c is > ' ' and <= '~') _run.Append(c);
        else EndRun();
        return true;
    }

    /// <summary>A number of times, if it says one; else the sign itself.</summary>
    private bool TakeBrace()
    {
        var end = _pattern[_at..].IndexOf('}');
        var inside = end < 0 ? [] : _pattern.Slice(_at, end);
        if (inside.IsEmpty || !char.IsAsciiDigit(inside[0]) || inside.ContainsAnyExcept(Numbers))
        {
            _run.Append('{');
            return true;
        }
        _at += end + 1;
        return DropLast();
    }

    /// <summary>What stood before may be there or not.</summary>
    private bool DropLast()
    {
        if (_run.Length > 0) _run.Length--;
        EndRun();
        return true;
    }

    private bool SkipClass()
    {
        var first = _at < _pattern.Length && _pattern[_at] == '^' ? _at + 1 : _at;
        for (_at = first; _at < _pattern.Length; _at++)
        {
            if (_pattern[_at] == '[') return false; // A class in a class.
            if (_pattern[_at] == '\\') _at++;
            else if (_pattern[_at] == ']' && _at > first)
            {
                _at++;
                return true;
            }
        }
        return false;
    }

    private bool SkipGroup()
    {
        while (_at < _pattern.Length)
        {
            switch (_pattern[_at++])
            {
                case '\\': _at++; break;
                case '[' when !SkipClass(): return false;
                case '(' when !SkipGroup(): return false;
                case ')': return true;
            }
        }
        return false;
    }

    private void EndRun()
    {
        if (_run.Length > _longest.Length) _longest = _run.ToString();
        _run.Clear();
    }
}
