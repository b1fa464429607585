using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Control;

namespace Yoi.Tests.Socket;

public sealed class ConnectionTests
{
    private const string Hello = """{"id":0,"method":"hello","params":{"min_version":1,"max_version":1,"client":"test"}}""";

    [Fact]
    public async Task A_line_with_an_id_gets_exactly_one_reply_and_one_without_gets_none()
    {
        await using var room = await new ServedRoom { Handle = (_, _) => Task.FromResult<ReplyResult>(new ReplyResult.Accepted(7)) }.StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"run","params":{"input":"silent"}}""");
        await client.SendAsync("""{"id":"a","method":"run","params":{"input":"x"}}""");
        await client.SendAsync("""{"id":9007199254740993,"method":"cancel"}""");
        await client.SendAsync("""{"id":"a","method":"nope"}""");
        Assert.Equal("""{"id":"a","result":{"seq":7,"queued":false}}""", await client.LineAsync());
        Assert.StartsWith("""{"id":9007199254740993,"result":""", await client.LineAsync(), StringComparison.Ordinal);
        var refused = await client.JsonAsync();
        Assert.Equal(("a", "unknown_method"), (refused.GetProperty("id").GetString(), refused.GetProperty("error").GetProperty("code").GetString()));
        Assert.Contains("get_history", refused.GetProperty("error").GetProperty("candidates").EnumerateArray().Select(c => c.GetString()));
        Assert.Empty(await client.BeforeStatusAsync());
        Assert.Equal(["silent", "x"], room.Asked.Select(a => a.Method).OfType<Method.Run>().Select(r => r.Input));
    }

    [Fact]
    public async Task A_plainclient_is_refused_with_codes_that_it_knows()
    {
        await using var room = await new ServedRoom { Handle = (_, _) => throw new RefusedException(ErrorCode.NotPaused, "Pod is not paused") }.StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"resume"}""");
        Assert.Equal("error not_paused", await client.KindAsync());
        room.Handle = (_, _) => throw new RefusedException(ErrorCode.Stopping, "the Pod is stopping");
        await client.SendAsync("""{"method":"resume","params":null}""");
        Assert.Equal("error internal", await client.KindAsync());
        foreach (var line in new[] { "not json", """{"method":"nope"}""", """{"method":"status"}""", """{"method":"get_history","params":{}}""", Hello.Replace("\"id\":0,", "", StringComparison.Ordinal) })
        {
            await client.SendAsync(line);
            Assert.Equal("error internal", await client.KindAsync());
        }
    }

    [Fact]
    public async Task Hello_makes_a_client_ours_and_it_hears_nothing_until_it_attaches()
    {
        await using var room = await new ServedRoom().StartAsync(before: new Entry.Notification("warn", "pod", "old"));
        using var ours = await room.ConnectAsync();
        await ours.SendAsync(Hello);
        var welcome = (await ours.JsonAsync()).GetProperty("result");
        Assert.Equal((1, "worker", "0001"), (welcome.GetProperty("version").GetInt32(), welcome.GetProperty("pod").GetString(), welcome.GetProperty("pod_id").GetString()));
        await room.Append(new Entry.Notification("warn", "pod", "new"), new Entry.TurnStart(0));
        using var witness = await room.ConnectAsync(); // Hears what was told: so it was told to everybody who listens.
        await witness.SendAsync("""{"method":"cancel"}""");
        Assert.Equal(["notification", "notification"], await Take(witness, 2));
        Assert.Empty(await ours.BeforeStatusAsync());

        await ours.SendAsync("""{"id":1,"method":"attach","params":{"from_seq":3}}""");
        Assert.Equal("""{"id":1,"result":{"from_seq":3,"head_seq":4}}""", await ours.LineAsync());
        room.Journal.PublishDelta(new Event.Delta(4, 0, 0, "text", "hi"));
        await room.Append(new Entry.RunEnded(0, RunEnd.Completed, null, null, 1));
        var lines = new[] { await ours.JsonAsync(), await ours.JsonAsync(), await ours.JsonAsync(), await ours.JsonAsync() };
        Assert.Equal(["notification", "turn_start", "delta", "run_end"], lines.Select(KindOf));
        Assert.Equal([3, 4, 0, 5], lines.Select(line => line.GetProperty("event").GetString() == "entry" ? line.GetProperty("data").GetProperty("seq").GetInt64() : 0));
    }

    private static string KindOf(JsonElement line) =>
        line.GetProperty("event").GetString() is "entry" ? line.GetProperty("data").GetProperty("kind").GetString()! : line.GetProperty("event").GetString()!;

    [Fact]
    public async Task A_client_that_only_listens_hears_past_notifications_then_events_and_the_end()
    {
        await using var room = await new ServedRoom().StartAsync(before: new Entry.Notification("warn", "agents_md", "cut"));
        using var listener = await room.ConnectAsync();
        using var ours = await room.ConnectAsync();
        await ours.SendAsync(Hello);
        Assert.Equal("reply", await ours.KindAsync());
        await room.Append(new Entry.TurnStart(3));
        Assert.Equal(["notification", "turn_start"], await Take(listener, 2));
        await room.Append(new Entry.PodEnded(PodEnd.Stopped, "human", null, [], new Totals()));
        Assert.Equal("""{"event":"shutdown"}""", await listener.LineAsync());
        await room.StopServerAsync();
        Assert.Null(await listener.LineAsync());
        Assert.Equal(["shutdown"], await ours.KindsToEndAsync());
        Assert.False(File.Exists(room.SocketPath));
    }

    [Fact]
    public async Task An_attached_client_reads_the_end_entry_before_the_connection_ends()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var client = await room.ClientAsync();
        var attached = new TaskCompletionSource();
        var entries = client.AttachAsync(ct: ServedRoom.Ct).Select(message =>
        {
            attached.TrySetResult(); // The first entry is a replay.
            return message;
        }).ToListAsync(ServedRoom.Ct).AsTask();
        await attached.Task.WaitAsync(ServedRoom.Patience, ServedRoom.Ct);
        await room.Append([.. Enumerable.Range(0, 500).Select(i => new Entry.Input($"{i}"))]);
        await room.Append(new Entry.PodEnded(PodEnd.Stopped, "human", null, [], new Totals()));
        await room.StopServerAsync();
        var seen = (await entries).OfType<PodMessage.Entered>().ToList();
        Assert.Equal(Enumerable.Range(1, 502).Select(i => (long)i), seen.Select(entry => entry.Seq));
        Assert.IsType<Entry.PodEnded>(seen[^1].Entry);
    }

    [Fact]
    [Trait("case", "C09")]
    public async Task A_childs_token_allows_the_upward_methods_and_nothing_else()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var child = await room.ClientAsync("child-token");
        Assert.Equal(["hello", "poke"], child.Welcome.Methods);
        await child.AskAsync(new Method.Poke("0002", 5), ServedRoom.Ct);
        Assert.Equal(new Caller("kid", "0002"), Assert.Single(room.Asked).Caller);
        foreach (Method downward in new Method[] { new Method.Run("x"), new Method.Shutdown(), new Method.Cancel(), new Method.Status(), new Method.Read(), new Method.GetHistory() })
        {
            var refused = await Assert.ThrowsAsync<PodRefusedException>(() => child.AskAsync(downward, ServedRoom.Ct));
            Assert.Equal(ErrorCode.NotAllowed, refused.Error.Code);
            Assert.Equal(["hello", "poke"], refused.Error.Candidates!);
        }
        Assert.Single(room.Asked);
        var unknown = await Assert.ThrowsAsync<PodRefusedException>(() => room.ClientAsync("guess"));
        Assert.Equal(ErrorCode.NotAllowed, unknown.Error.Code);
        await using var human = await room.ClientAsync();
        await human.AskAsync(new Method.Cancel(), ServedRoom.Ct); // The user's own program needs no token.
        Assert.Equal(new Caller("test"), room.Asked.Last().Caller);
    }

    [Theory]
    [InlineData(1, 1, null)]
    [InlineData(1, 99, null)]
    [InlineData(2, 99, "older program")]
    [InlineData(-3, 0, "update your client")]
    public async Task Versions_are_negotiated_or_the_answer_names_what_helps(int min, int max, string? help)
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync($$$"""{"id":1,"method":"hello","params":{"min_version":{{{min}}},"max_version":{{{max}}}}}""");
        var reply = await client.JsonAsync();
        if (help is null)
        {
            Assert.Equal(1, reply.GetProperty("result").GetProperty("version").GetInt32());
            return;
        }
        Assert.Equal("version_mismatch", reply.GetProperty("error").GetProperty("code").GetString());
        Assert.Contains(help, reply.GetProperty("error").GetProperty("message").GetString()!, StringComparison.Ordinal);
        Assert.Null(await client.LineAsync());
    }

    [Fact]
    public async Task A_client_whose_replay_cannot_be_read_is_told_so_and_not_left_waiting()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var client = await room.ClientAsync();
        await using (var seen = client.AttachAsync(1, ServedRoom.Ct).GetAsyncEnumerator(ServedRoom.Ct)) Assert.True(await seen.MoveNextAsync()); // The control.
        File.Delete(room.JournalPath);

        await using var attached = client.AttachAsync(1, ServedRoom.Ct).GetAsyncEnumerator(ServedRoom.Ct);
        var failure = await Assert.ThrowsAsync<IOException>(() => attached.MoveNextAsync().AsTask().WaitAsync(ServedRoom.Patience, ServedRoom.Ct));

        Assert.Contains("the journal cannot be read", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hello_is_the_first_line_or_refused()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync(Hello);
        await client.SendAsync(Hello);
        Assert.Equal("reply", await client.KindAsync());
        Assert.Equal("reply invalid_request", await client.KindAsync());
        using var plain = await room.ConnectAsync();
        await plain.SendAsync("""{"id":1,"method":"status"}""");
        await plain.SendAsync("""{"id":2,"method":"attach"}""");
        Assert.Equal(["reply", "reply invalid_request"], await Take(plain, 2));
    }

    [Fact]
    public async Task Status_answers_while_a_method_waits_for_the_disk()
    {
        var disk = new TaskCompletionSource<ReplyResult>();
        await using var room = await new ServedRoom { Handle = (_, _) => disk.Task }.StartAsync();
        await using var client = await room.ClientAsync();
        var run = client.RunAsync("x", ct: ServedRoom.Ct);
        Assert.Equal("worker", (await client.StatusAsync(ServedRoom.Ct)).Name);
        Assert.False(run.IsCompleted);
        disk.SetResult(new ReplyResult.Accepted(3));
        Assert.Equal(3, (await run).Seq);
    }

    [Fact]
    public async Task Pages_follow_one_another_by_cursor_and_say_when_there_is_more()
    {
        await using var room = await new ServedRoom().StartAsync();
        await room.Append([.. Enumerable.Range(0, 50).Select(i => new Entry.Input(new string('x', 1000)))]);
        await using var client = await room.ClientAsync();
        var (cursor, seqs, pages) = (Cursor.Start, new List<long>(), 0);
        while (true)
        {
            var page = await client.ReadAsync(cursor, 10_000, ServedRoom.Ct);
            seqs.AddRange(page.Entries.Select(e => e.Seq));
            cursor = new Cursor(page.NextSeq, page.NextOffset);
            pages++;
            if (!page.HasMore) break;
        }
        Assert.Equal(Enumerable.Range(1, 51).Select(i => (long)i), seqs);
        Assert.InRange(pages, 5, 10);
        var refused = await Assert.ThrowsAsync<PodRefusedException>(() => client.ReadAsync(new Cursor(-1, 0), ct: ServedRoom.Ct));
        Assert.Equal(ErrorCode.InvalidRequest, refused.Error.Code);
    }

    [Fact]
    public async Task History_greets_plainclients_with_the_recorded_keys_and_ours_with_the_sandbox_level()
    {
        await using var room = await new ServedRoom().StartAsync(before: [new Entry.Input("hi"), new Entry.Notify("child", "hidden")]);
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"get_history"}""");
        var history = (await client.JsonAsync()).GetProperty("data");
        Assert.Equal(["pod_name", "cwd", "provider", "model", "scope_summary", "tools"], history.GetProperty("greeting").EnumerateObject().Select(p => p.Name));
        Assert.Equal("""[{"type":"message","role":"user","content":[{"text":"hi","type":"text"}]}]""", history.GetProperty("items").GetRawText());
        await using var ours = await room.ClientAsync();
        Assert.Equal("kernel", (await ours.HistoryAsync(ServedRoom.Ct)).Greeting.SandboxLevel);
    }

    public static TheoryData<string, string> BadLines => new()
    {
        { "invalid_request", "\\xff\\xfe" },
        { "invalid_request", "{\"id\":1,\"method\":\"run\",\"params\":{\"input\":\"\\xc0\\xaf\"}}" },
        { "invalid_request", "\\xef\\xbb\\xbf{\"method\":\"cancel\"}" },
        { "invalid_request", "\\x00" },
        { "invalid_request", """{"id":1,"method":"run","params":{"input":"\ud800"}}""" },
        { "invalid_request", """{"id":1,"method":"\ud800"}""" },
        { "invalid_request", """{"id":"\ud800","method":"status"}""" },
        { "invalid_request", """{"id":"a\udc00b","method":"nope"}""" },
        { "invalid_request", """{"\ud800":1,"\ud8002":2}""" },
        { "invalid_request", """{"id":1,"method":"run","params":{"input":5}}""" },
        { "invalid_request", """{"id":1,"method":"run","params":{"input":null}}""" },
        { "invalid_request", """{"id":1,"method":"run","params":[]}""" },
        { "invalid_request", """{"id":1,"method":"run","params":"x"}""" },
        { "invalid_request", """{"id":1,"method":"run"}""" },
        { "invalid_request", """{"id":1,"method":"cancel","params":{}}""" },
        { "invalid_request", """{"id":1,"method":7}""" },
        { "invalid_request", """{"id":1}""" },
        { "invalid_request", """{"id":1e999,"method":"cancel"}""" },
        { "invalid_request", """{"id":[1],"method":"cancel"}""" },
        { "invalid_request", """{"id":1,"method":"poke","params":{"pod_id":"x","seq":99999999999999999999}}""" },
        { "invalid_request", """{"id":1,"method":"read","params":{"since_seq":1e999}}""" },
        { "invalid_request", "[]" },
        { "invalid_request", "5" },
        { "invalid_request", """{"method":"cancel"}{"method":"cancel"}""" },
        { "unknown_method", """{"id":1,"method":"nope"}""" },
        { "too_deep", "{\"id\":1,\"x\":" + new string('[', 10_000) },
        { "too_deep", "{\"id\":1,\"method\":\"cancel\",\"x\":" + new string('[', 64) + new string(']', 64) + "}" },
    };

    [Theory]
    [MemberData(nameof(BadLines))]
    [Trait("case", "C03")]
    [Trait("case", "C04")]
    public async Task A_bad_line_gets_one_error_and_the_connection_lives_on(string code, string line)
    {
        await using var room = await new ServedRoom().StartAsync();
        foreach (var ours in new[] { true, false })
        {
            using var client = await room.ConnectAsync();
            if (ours)
            {
                await client.SendAsync(Hello);
                Assert.Equal("reply", await client.KindAsync());
            }
            await client.SendBytesAsync(Bytes(line + "\n"));
            await client.SendBytesAsync(Bytes(line + "\r\n\r\n \n"));
            for (var i = 0; i < 2; i++)
            {
                var kind = await client.KindAsync();
                Assert.StartsWith(kind.StartsWith('e') ? "error" : "reply", kind, StringComparison.Ordinal);
                Assert.EndsWith(kind.StartsWith('e') && !ours ? "internal" : code, kind, StringComparison.Ordinal);
            }
            Assert.Empty(await client.BeforeStatusAsync());
        }
        Assert.Empty(room.Asked);
    }

    [Fact]
    [Trait("case", "C04")]
    public async Task A_million_element_array_and_unknown_fields_are_taken()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        var array = "[" + string.Join(',', Enumerable.Repeat("1", 1_000_000)) + "]";
        await client.SendAsync($$$"""{"extra":{{{array}}},"params":{"input":"\u0000 ok","extra":{}},"method":"run","id":"x"}""");
        Assert.Equal("reply", await client.KindAsync());
        Assert.Equal("\0 ok", Assert.IsType<Method.Run>(Assert.Single(room.Asked).Method).Input);
    }

    [Fact]
    [Trait("case", "C04")]
    public async Task Random_lines_do_no_harm()
    {
        var seed = Environment.TickCount;
        TestContext.Current.SendDiagnosticMessage($"seed {seed}");
        var random = new Random(seed);
        string[] good = ["""{"id":1,"method":"run","params":{"input":"text"}}""", """{"method":"notify","params":{"source":"a","message":"b"}}""", Hello,
            """{"id":"s","method":"read","params":{"since_seq":0,"max_bytes":100}}""", """{"id":3,"method":"attach","params":{"from_seq":1}}"""];
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        var reading = Task.Run(async () =>
        {
            while (await client.LineAsync() is { } line)
                if (line.Contains("\"last\"", StringComparison.Ordinal)) return line;
            return null;
        }, ServedRoom.Ct);
        for (var i = 0; i < 20_000; i++)
        {
            var line = Encoding.UTF8.GetBytes(good[random.Next(good.Length)]);
            for (var n = random.Next(4); n > 0; n--) line[random.Next(line.Length)] = (byte)random.Next(256);
            await client.SendBytesAsync((byte[])[.. line.Where(b => b != '\n'), (byte)'\n']);
        }
        await client.SendAsync("""{"id":"last","method":"status"}""");
        Assert.StartsWith("""{"id":"last","result":""", await reading.WaitAsync(ServedRoom.Patience, ServedRoom.Ct), StringComparison.Ordinal);
        Assert.False(room.Server.Completion.IsFaulted, $"seed {seed}");
    }

    /// <summary>Text with <c>\xNN</c> for raw bytes.</summary>
    internal static byte[] Bytes(string text)
    {
        var bytes = new List<byte>();
        for (var i = 0; i < text.Length; i++)
        {
            if (i + 3 < text.Length && text[i] == '\\' && text[i + 1] == 'x')
            {
                bytes.Add(Convert.ToByte(text.Substring(i + 2, 2), 16));
                i += 3;
            }
            else bytes.AddRange(Encoding.UTF8.GetBytes(text[i].ToString()));
        }
        return [.. bytes];
    }

    private static async Task<List<string>> Take(RawClient client, int count)
    {
        var kinds = new List<string>();
        while (kinds.Count < count) kinds.Add(await client.KindAsync());
        return kinds;
    }
}
