using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;

namespace Yoi.Tests.Configuration;

public sealed class ModelResolverTests : IDisposable
{
    private readonly ConfigRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task The_usual_variables_are_enough()
    {
        var model = await _room.Variable("ANTHROPIC_API_KEY", " key-1\n").ResolveAsync();
        Assert.Equal(("anthropic/claude-sonnet-4-5", "key-1", "env:ANTHROPIC_API_KEY"), (model.Name, model.ApiKey, model.KeySource));
        Assert.Equal(new ModelChoice("anthropic", "claude-sonnet-4-5"), model.Choice);
    }

    [Fact]
    public async Task Flags_go_before_settings_and_settings_before_the_environment()
    {
        _room.Variable("ANTHROPIC_API_KEY", "a").Variable("OPENAI_API_KEY", "o");
        Assert.Equal("anthropic/claude-sonnet-4-5", (await _room.ResolveAsync()).Name);
        _room.User("""{ "model": "openai/gpt-5", "max_output_tokens": 99 }""");
        Assert.Equal(new ModelChoice("openai", "gpt-5", MaxOutputTokens: 99), (await _room.ResolveAsync()).Choice);
        Assert.Equal("openai/gpt-5-mini", (await _room.ResolveAsync("openai/gpt-5-mini")).Name);
    }

    [Fact]
    public async Task Ollama_needs_no_key_and_is_used_only_when_asked_for()
    {
        var model = await _room.ResolveAsync("ollama/qwen3");
        Assert.Equal(new ModelChoice("openai", "qwen3", "http://127.0.0.1:11434/v1", Alias: "ollama"), model.Choice);
        Assert.Equal(("none", null), (model.KeySource, model.ApiKey));
        await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync());
    }

    [Theory]
    [InlineData("127.0.0.1:4711", "http://127.0.0.1:4711/v1")]
    [InlineData("0.0.0.0", "http://127.0.0.1:11434/v1")]
    [InlineData("box:80", "http://box/v1")]
    [InlineData("[::1]", "http://[::1]:11434/v1")]
    [InlineData("https://models.example/", "https://models.example/v1")]
    [InlineData("http://box:11434/ollama/v1", "http://box:11434/ollama/v1")]
    public async Task Ollama_is_asked_where_its_own_variable_says(string host, string address)
    {
        _room.Variable("OLLAMA_HOST", host);
        Assert.Equal(address, (await _room.ResolveAsync("ollama/qwen3")).Choice.BaseUrl);
        _room.Write(_room.Home + "/key", "from-file").User("""{ "providers": { "ollama": { "api_key_file": "~/key" } } }""");
        Assert.Equal("http://127.0.0.1:11434/v1", (await _room.ResolveAsync("ollama/qwen3")).Choice.BaseUrl);
    }

    [Fact]
    public async Task An_address_of_Ollama_that_is_none_is_refused_by_the_name_of_its_variable()
    {
        _room.Variable("OLLAMA_HOST", "ftp://box");
        var error = await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync("ollama/qwen3"));
        Assert.Contains("OLLAMA_HOST: \"ftp://box", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_loopback_server_needs_no_key_another_machine_does()
    {
        Assert.Equal("none", (await _room.ResolveAsync("openai/any", "http://localhost:8000/v1")).KeySource);
        Assert.Equal("none", (await _room.ResolveAsync("openai/any", "http://[::1]:8000/v1")).KeySource);
        var error = await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync("openai/any", "http://10.1.1.1:8000/v1"));
        Assert.Contains("set OPENAI_API_KEY", error.Message, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "V13")]
    public async Task An_address_from_the_environment_never_gets_a_key_from_the_settings()
    {
        _room.Write(_room.Home + "/key", "from-file").Variable("OPENAI_BASE_URL", "https://elsewhere.example/v1");
        _room.User("""{ "providers": { "openai": { "api_key_file": "~/key" } } }""");
        var model = await _room.ResolveAsync("openai/gpt-5");
        Assert.Equal(("from-file", $"file:{_room.Home}/key", null), (model.ApiKey, model.KeySource, model.Choice.BaseUrl));
    }

    [Fact, Trait("case", "V13")]
    public async Task An_address_from_the_environment_goes_with_a_key_from_the_environment()
    {
        var model = await _room.Variable("OPENAI_BASE_URL", "https://gateway.example/v1").Variable("OPENAI_API_KEY", "k").ResolveAsync("openai/gpt-5");
        Assert.Equal("https://gateway.example/v1", model.Choice.BaseUrl);
        _room.User("""{ "providers": { "openai": { "base_url": "https://mine.example/v1" } } }""");
        Assert.Equal("https://mine.example/v1", (await _room.ResolveAsync("openai/gpt-5")).Choice.BaseUrl);
    }

    [Fact, Trait("case", "V13")]
    public async Task A_server_of_ones_own_never_gets_another_providers_key()
    {
        _room.Variable("OPENAI_API_KEY", "k").User("""{ "providers": { "lan": { "base_url": "http://10.0.0.5:8000/v1" } } }""");
        var model = await _room.ResolveAsync("lan/some/model");
        Assert.Equal(new ModelChoice("openai", "some/model", "http://10.0.0.5:8000/v1", Alias: "lan"), model.Choice);
        Assert.Null(model.ApiKey);
    }

    [Fact]
    public async Task A_key_that_would_travel_unencrypted_is_warned_of()
    {
        _room.Variable("LAN_KEY", "k").User("""{ "providers": { "lan": { "base_url": "http://10.0.0.5:8000/v1", "api_key_env": "LAN_KEY", "kind": "anthropic" } } }""");
        var model = await _room.ResolveAsync("lan/m");
        Assert.Equal("anthropic", model.Choice.Provider);
        Assert.Contains("unencrypted", Assert.Single(model.Warnings), StringComparison.Ordinal);
        Assert.Empty((await _room.ResolveAsync("openai/m", "http://127.0.0.1/v1")).Warnings);
    }

    [Fact]
    public async Task A_command_may_print_the_key()
    {
        _room.User("""{ "providers": { "openai": { "api_key_command": ["printf", "%s\\n", "from command"] } } }""");
        var error = await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync("openai/m"));
        Assert.Contains("holds more than a key", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("from command\n", error.Message, StringComparison.Ordinal);
        _room.User("""{ "providers": { "openai": { "api_key_command": ["printf", "%s\\n", "from-command"] } } }""");
        var model = await _room.ResolveAsync("openai/m");
        Assert.Equal(("from-command", "command:printf"), (model.ApiKey, model.KeySource));
    }

    [Theory]
    [InlineData("false", "ended with 1 and said nothing; see that it prints the key, or change `providers.openai` in yoi.jsonc")]
    [InlineData("/nowhere/at-all", "cannot be started: No such file or directory; see that it is on the PATH")]
    [InlineData("true", "is empty")]
    public async Task A_command_that_fails_says_so(string program, string words)
    {
        _room.User($$"""{ "providers": { "openai": { "api_key_command": ["{{program}}"] } } }""");
        Assert.Contains(words, (await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync("openai/m"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_file_that_is_not_there_is_named_with_what_helps()
    {
        _room.User("""{ "providers": { "openai": { "api_key_file": "~/no key" } } }""");
        var error = await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync("openai/m"));
        Assert.EndsWith("/no key: the file is not there; put it there, or change `providers.openai` in yoi.jsonc", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "no model is chosen")]
    [InlineData("gpt-5", "write provider/model")]
    [InlineData("nope/x", "no provider is called \"nope\"; known: anthropic, openai, ollama")]
    [InlineData("openai/", "write provider/model")]
    [InlineData("anthropic/x", "set ANTHROPIC_API_KEY")]
    [InlineData("scripted:no-such-file", "does not exist")]
    [InlineData("scripted:", "names no file")]
    [InlineData("scripted:.", "names no file")]
    public async Task What_cannot_be_used_is_refused_with_what_helps(string? name, string words) =>
        Assert.Contains(words, (await Assert.ThrowsAsync<ModelChoiceException>(() => _room.ResolveAsync(name))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_script_is_a_model_without_a_key()
    {
        _room.Write(_room.Project + "/play.jsonc", "{}");
        var model = await _room.ResolveAsync("scripted:play.jsonc");
        Assert.Equal(("scripted", _room.Project + "/play.jsonc", "none"), (model.Choice.Provider, model.Choice.Script, model.KeySource));
        Assert.Null((await _room.ResolveAsync("scripted")).Choice.Script); // One that knows the commands only.
    }
}
