using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Wire;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>Where the key goes, and where it never turns up.</summary>
public sealed class KeyTests
{
    private const string Canary = "sk-canary+4711/secret=";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_key_is_sent_in_the_header_of_its_provider_and_nowhere_else()
    {
        await using var server = await ModelServer.StartAsync();
        await server.HearAsync(OnAnthropic, Ct, key: Canary);
        await server.HearAsync(OnOpenAi, Ct, key: Canary + "\n");
        Assert.Equal(Canary, server.Requests[0].Headers["x-api-key"]);
        Assert.Equal("2023-06-01", server.Requests[0].Headers["anthropic-version"]);
        Assert.Equal("Bearer " + Canary, server.Requests[1].Headers["Authorization"]);
        foreach (var request in server.Requests)
        {
            Assert.Single(request.Headers, header => header.Value.Contains(Canary, StringComparison.Ordinal));
            Assert.DoesNotContain(Canary, Encoding.UTF8.GetString(request.Body), StringComparison.Ordinal);
            Assert.Equal("application/json", request.Headers["Content-Type"]);
            Assert.DoesNotContain("traceparent", request.Headers.Keys);
        }
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task A_server_without_a_key_gets_none(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        Assert.Equal("Hello from the mock.", (await server.HearAsync(provider, Ct)).Text);
        Assert.DoesNotContain(server.Requests[0].Headers.Keys, name => name is "x-api-key" or "Authorization");
    }

    [Theory, InlineData(301), InlineData(302), InlineData(307), InlineData(308)]
    [Trait("case", "V13")]
    public async Task A_redirect_to_another_host_gets_neither_request_nor_key(int status)
    {
        await using var other = await ModelServer.StartAsync();
        await using var server = await ModelServer.StartAsync(_ => new Answer
        {
            Status = status,
            ContentType = "",
            Raw = [],
            Headers = new Dictionary<string, string> { ["Location"] = other.Origin + "/v1/messages?key=" + Uri.EscapeDataString(Canary) },
        });
        var heard = await server.HearAsync(OnAnthropic, Ct, key: Canary);
        Assert.Equal((ModelFailure.BadRequest, false), (heard.Failed.Kind, heard.Failed.Retryable));
        Assert.Contains("redirects are not followed", heard.Failed.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Uri.EscapeDataString(Canary), heard.Failed.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.Empty(other.Requests);
        Assert.Single(server.Requests);
    }

    [Fact]
    [Trait("case", "K03")]
    public async Task A_provider_that_repeats_the_key_in_any_form_does_not_bring_it_into_a_failure()
    {
        string[] forms = [Canary, Convert.ToBase64String(Encoding.ASCII.GetBytes(Canary)), Uri.EscapeDataString(Canary)];
        var echo = string.Join(" ", forms);
        await using var server = await ModelServer.StartAsync();
        Answer[] answers =
        [
            Answer.Fails(401, "authentication_error", $"bad key {echo}"), Answer.Fails(400, "invalid_request_error", echo), Answer.Fails(400, echo, "x"),
            new Answer { Status = 403, ContentType = "text/html", Raw = Encoding.UTF8.GetBytes($"<p>{echo}") }, new Answer { ContentType = "text/html", Raw = Encoding.UTF8.GetBytes(echo) },
            Answer.Stream($$$"""data: {"type":"error","error":{"type":"invalid_request_error","message":"{{{echo}}}"}}{{{"\n\n"}}}"""), Answer.Stream("data: " + echo + "\n\n"),
        ];
        foreach (var answer in answers)
        {
            server.Enqueue(answer);
            var failure = (await server.HearAsync(OnAnthropic, Ct, new ModelTiming(MaxTries: 1), key: Canary)).Failed;
            foreach (var form in forms)
                Assert.DoesNotContain(form.TrimEnd('='), failure.ToString(), StringComparison.OrdinalIgnoreCase);
        }
        Assert.All(server.Requests, request => Assert.Equal(Canary, request.Headers["x-api-key"]));
        Assert.DoesNotContain(Canary, new Key(Canary).ToString(), StringComparison.Ordinal);
    }

    [Theory, InlineData("sk-can\nary"), InlineData("sk-can ary"), InlineData("sk-cänary")]
    [Trait("case", "K03")]
    public void A_key_that_no_header_takes_is_refused_without_being_shown(string key)
    {
        var failure = Assert.Throws<ModelException>(() => Model(OnAnthropic, "http://127.0.0.1", key));
        Assert.Equal(ModelFailure.Authentication, failure.Kind);
        Assert.DoesNotContain("sk-c", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory, InlineData("ftp://x"), InlineData("x"), InlineData("https://user:pass@host"), InlineData("https://host/?key=1"), InlineData("")]
    public void A_base_URL_that_is_none_is_refused_without_being_shown(string baseUrl)
    {
        var failure = Assert.Throws<ModelException>(() => Model(OnOpenAi, baseUrl));
        Assert.Equal(ModelFailure.BadRequest, failure.Kind);
        Assert.DoesNotContain("pass", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(OnAnthropic, "", "/v1/messages"), InlineData(OnAnthropic, "/", "/v1/messages"), InlineData(OnAnthropic, "/v1", "/v1/messages"), InlineData(OnAnthropic, "/proxy/anthropic/", "/proxy/anthropic/v1/messages")]
    [InlineData(OnOpenAi, "/v1", "/v1/chat/completions"), InlineData(OnOpenAi, "/v1/", "/v1/chat/completions"), InlineData(OnOpenAi, "/api/openai", "/api/openai/chat/completions")]
    public async Task A_base_URL_may_have_a_path(string provider, string path, string expected)
    {
        await using var server = await ModelServer.StartAsync();
        using var model = Model(provider, server.Origin + path);
        Assert.Null((await model.HearAsync(Ask(provider, null, User("hi")), Ct)).Failure);
        Assert.Equal(expected, server.Requests[0].Path);
    }

    [Fact]
    public void An_unknown_provider_is_told_which_there_are()
    {
        var failure = Assert.Throws<ModelException>(() => ModelFactory.Create(new ModelChoice("gemini", "x"), "w1", null, Timing, TimeProvider.System));
        Assert.Contains("anthropic, openai, scripted", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_of_one_model_share_a_connection()
    {
        var ports = new HashSet<string>();
        await using var server = await ModelServer.StartAsync();
        using var model = Model(OnAnthropic, server.Origin);
        for (var i = 0; i < 5; i++)
            Assert.Null((await model.HearAsync(Ask(OnAnthropic, null, User("hi")), Ct)).Failure);
        ports.UnionWith(server.Requests.Select(request => request.Connection));
        Assert.Single(ports);
    }
}
