using System.CommandLine;
using Yoi.Runtime.Configuration;

namespace Yoi;

/// <summary>What the flags of <c>run</c> and <c>start</c> ask for.</summary>
internal sealed record LaunchWishes(
    string? Name, string? Cwd, string? Model, string? BaseUrl, IReadOnlyList<string> Write, IReadOnlyList<string> Read,
    IReadOnlyList<string> DenyWrite, IReadOnlyList<string> DenyRead, int? MaxTurns, int? MaxChildren, int? MaxDepth, int? MaxPods, int? MaxTokens, string? Role,
    string? Sandbox = null, bool Network = false);

/// <summary>The flags that every verb shares that starts a Pod.</summary>
internal sealed class LaunchFlags
{
    private readonly Option<string?> _name = new("--name", "-n") { Description = "Name of the Pod (default: the directory's name and a free number).", HelpName = "NAME" };
    private readonly Option<string?> _cwd = new("--cwd", "-C") { Description = "Working directory of the Pod.", HelpName = "DIRECTORY" };
    private readonly Option<string?> _model = new("--model", "-m") { Description = "Model: provider/model (anthropic/claude-sonnet-4-5, openai/gpt-5, ollama/qwen3) or scripted:FILE.", HelpName = "MODEL" };
    private readonly Option<string?> _baseUrl = new("--base-url") { Description = "Address of the provider's API, for example http://127.0.0.1:8000/v1.", HelpName = "URL" };
    private readonly Option<string[]> _write = Paths("--write", "Path that the Pod may write and read (default: the working directory).");
    private readonly Option<string[]> _read = Paths("--read", "Path that the Pod may only read.");
    private readonly Option<string[]> _denyWrite = Paths("--deny-write", "Path that the Pod may not write.");
    private readonly Option<string[]> _denyRead = Paths("--deny-read", "Path that the Pod may not even read.");
    private readonly Option<int?> _turns = Limit("--max-turns", "Model requests in one run.", 1);
    private readonly Option<int?> _children = Limit("--max-children", "Living children of one Pod.", 0);
    private readonly Option<int?> _depth = Limit("--max-depth", "Levels of Pods below this one.", 0);
    private readonly Option<int?> _pods = Limit("--max-pods", "Living Pods in the tree, this one included.", 1);
    private readonly Option<int?> _tokens = Limit("--max-tokens", "Input and output tokens of all Pods of the tree together (default: no limit).", 1);
    private readonly Option<string?> _role = new("--role") { Description = "Text added to the system prompt, or a file that holds it.", HelpName = "TEXT" };

    private readonly Option<string?> _sandbox = new("--sandbox") { Description = "How commands are held: auto, kernel, partial or tools-only (no Bash).", HelpName = "LEVEL" };
    private readonly Option<bool> _network = new("--network") { Description = "Let commands use the network." };

    /// <param name="named">True if the verb takes the name as an argument of its own.</param>
    internal LaunchFlags(Command command, bool named = false)
    {
        if (!named) command.Add(_name);
        Option[] flags = [_cwd, _model, _baseUrl, _write, _read, _denyWrite, _denyRead, _turns, _children, _depth, _pods, _tokens, _role, _sandbox, _network];
        _sandbox.AcceptOnlyFromAmong(Settings.SandboxWords);
        foreach (var flag in flags) command.Add(flag);
    }

    internal LaunchWishes Read(ParseResult parsed, string? name = null) => new(
        name ?? parsed.GetValue(_name), parsed.GetValue(_cwd), parsed.GetValue(_model), parsed.GetValue(_baseUrl),
        parsed.GetValue(_write) ?? [], parsed.GetValue(_read) ?? [], parsed.GetValue(_denyWrite) ?? [], parsed.GetValue(_denyRead) ?? [],
        parsed.GetValue(_turns), parsed.GetValue(_children), parsed.GetValue(_depth), parsed.GetValue(_pods), parsed.GetValue(_tokens), parsed.GetValue(_role),
        parsed.GetValue(_sandbox), parsed.GetValue(_network));

    private static Option<string[]> Paths(string name, string description) =>
        new(name) { Description = description + " May be repeated.", HelpName = "PATH", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };

    private static Option<int?> Limit(string name, string description, int least)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var value) && value < least)
                result.AddError($"{name} is at least {least}");
        });
        return option;
    }
}
