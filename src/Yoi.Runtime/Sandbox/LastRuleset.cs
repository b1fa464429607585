using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Sandbox;

/// <summary>One rule of Landlock's: a place, which inode is there now, and what is allowed on it.</summary>
/// <param name="Born">With the mount it tells an inode from a later one of the same number, on a file system that came in the place of another.</param>
internal readonly record struct LandlockRule(string Path, ulong Rights, ulong Device, ulong Inode, long Born, ulong Mount)
{
    internal static LandlockRule Of(string path, ulong rights, in FileStatus there) =>
        new(path, there.IsDirectory ? rights : rights & LandlockRights.OfFiles, there.Device, there.Inode, there.Born, there.Mount);
}

/// <summary>
/// The ruleset of a Pod's last command, for the next one that is to have just the same: same rights, on the same inodes, as they are looked up
/// anew for each command. The kernel keeps the inodes of a ruleset while it exists, so that none of their numbers is used again meanwhile.
/// </summary>
internal sealed class LastRuleset : IDisposable
{
    private readonly Lock _gate = new();
    private LandlockRuleset _attributes;
    private IReadOnlyList<LandlockRule> _rules = [];
    private SafeFileHandle? _made;

    /// <summary>So many were made.</summary>
    internal int Made { get; private set; }

    /// <summary>A descriptor of one with just these rules, the caller's; and its number: the same one has the same.</summary>
    /// <exception cref="SandboxException">What is at a place is not what was there when the rules were put together.</exception>
    internal (int Number, SafeFileHandle Ruleset) Get(in LandlockRuleset attributes, IReadOnlyList<LandlockRule> rules)
    {
        lock (_gate)
        {
            if (_made is null || attributes != _attributes || !rules.SequenceEqual(_rules))
            {
                var made = Make(attributes, rules);
                _made?.Dispose();
                (_attributes, _rules, _made) = (attributes, rules, made);
                Made++;
            }
            return (Made, Libc.Raised(_made));
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _made?.Dispose();
            _made = null;
        }
    }

    private static SafeFileHandle Make(in LandlockRuleset attributes, IReadOnlyList<LandlockRule> rules)
    {
        var ruleset = Libc.CreateRuleset(attributes);
        try
        {
            foreach (var rule in rules)
            {
                using var opened = Libc.Open(rule.Path, OpenFlags.Path | OpenFlags.NoFollow | OpenFlags.CloseOnExec, 0);
                if (opened.IsInvalid || LandlockRule.Of(rule.Path, rule.Rights, Libc.Identify(opened)) != rule)
                    throw new SandboxException($"{rule.Path} was exchanged while the sandbox was made; run the command again");
                Libc.AllowBeneath(ruleset, opened, rule.Rights);
            }
            return ruleset;
        }
        catch
        {
            ruleset.Dispose();
            throw;
        }
    }
}
