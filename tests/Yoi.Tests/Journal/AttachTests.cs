using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Shared;

namespace Yoi.Tests.Journal;

/// <summary>Attaching at random moments of a stream: what a client puts together is what the journal says.</summary>
public sealed class AttachTests
{
    private const int Seed = 4_711, Messages = 40, Attaches = 50;

    private static readonly int Streams = Slice.Of(40, 200);

    [Theory, Trait("case", "T22")]
    [InlineData(1 << 20)]
    [InlineData(3_000)] // So small that some are cut off and come back, on most machines.
    public async Task Attach_at_random_moments_of_a_stream_equals_the_journal_without_gap_or_double(int backlog)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {Seed}");
        var gaps = 0;
        var partials = 0;
        for (var stream = 0; stream < Streams; stream++)
        {
            await using var pod = new TempPod();
            var writer = pod.Open(file: path => new UnsyncedFile(path));
            await pod.Append(TempPod.Created());
            var random = new Random(Seed + stream);
            var moments = Enumerable.Range(0, Attaches).Select(_ => random.Next(Messages * 7)).Order().ToArray();
            using var steps = new Steps();
            var clients = moments.Select(moment => FollowAsync(writer, steps, moment, random.Next(5) * moment / 8, backlog)).ToList();
            await SpeakAsync(writer, new Random(Seed - stream), steps);
            steps.All();
            await writer.DisposeAsync();
            var journal = pod.Reader.ReadAfter(Cursor.Start, out _);
            foreach (var client in await Task.WhenAll(clients))
            {
                Assert.Equal(journal.Where(record => record.Seq >= client.From).Select(record => record.Seq), client.Entries.Select(record => record.Seq));
                gaps += client.Gaps;
                partials += client.WholeMessages;
            }
        }
        // Whether a small backlog overflows is the scheduler's to say (JournalFeedTests make it); a large one never does.
        if (backlog >= 10_000) Assert.Equal(0, gaps);
        Assert.True(partials > 1_000, $"only {partials} messages were put together from deltas");
    }

    // A model: blocks in random pieces, retries, cancels, other entries in between.
    private static async Task SpeakAsync(JournalWriter writer, Random random, Steps steps)
    {
        for (var message = 0; message < Messages; message++)
        {
            await writer.AppendAsync(Durability.Written, new Entry.Input($"say {message}"));
            steps.Next();
            var began = writer.HeadSeq;
            List<AssistantBlock> blocks;
            do
            {
                blocks = [];
                for (var block = 0; block < random.Next(1, 4); block++)
                {
                    var text = new StringBuilder();
                    for (var piece = 0; piece < random.Next(1, 6); piece++)
                    {
                        var more = new string((char)('a' + random.Next(26)), random.Next(1, 40));
                        writer.PublishDelta(new Event.Delta(began, block, text.Length, "text", more));
                        text.Append(more);
                        steps.Next();
                        if (random.Next(12) == 0) await writer.AppendAsync(Durability.Written, new Entry.Notify("clock", "tick"));
                    }
                    blocks.Add(new AssistantBlock.Text(text.ToString()));
                }
            }
            while (random.Next(5) == 0);
            await writer.AppendAsync(Durability.Written, new Entry.Assistant(message, blocks, null, null, Partial: random.Next(5) == 0));
            steps.Next();
        }
    }

    private static async Task<Client> FollowAsync(JournalWriter writer, Steps steps, int moment, long from, int backlog)
    {
        await steps.ReachedAsync(moment);
        var client = new Client(Math.Max(1, from));
        for (long? next = client.From; next is { } seq; next = await client.ReadAsync(writer.Subscribe(seq, backlog)))
        {
        }
        return client;
    }

    /// <summary>What a client does: keeps entries, puts deltas together, compares both.</summary>
    private sealed class Client(long from)
    {
        private readonly SortedDictionary<int, StringBuilder> _partial = [];

        internal long From { get; } = from;

        internal List<JournalRecord> Entries { get; } = [];

        internal int Gaps { get; private set; }

        internal int WholeMessages { get; private set; }

        internal async Task<long?> ReadAsync(JournalFeed feed)
        {
            await using var _ = feed;
            _partial.Clear();
            await foreach (var item in feed.ReadAsync(TempPod.Ct))
            {
                switch (item)
                {
                    case FeedItem.Gap gap:
                        Gaps++;
                        return gap.NextSeq;
                    case FeedItem.Delta { Value: var delta }:
                        if (delta.Offset == 0)
                        {
                            foreach (var later in _partial.Keys.Where(block => block >= delta.Block).ToList()) _partial.Remove(later);
                            _partial[delta.Block] = new StringBuilder();
                        }
                        Assert.Equal(_partial[delta.Block].Length, delta.Offset); // No piece is missing and none comes twice.
                        _partial[delta.Block].Append(delta.Text);
                        break;
                    case FeedItem.Record { Value: var record }:
                        Entries.Add(record);
                        if (record.Entry is not Entry.Assistant said) break;
                        if (record.Seq > feed.HeadSeq)
                        {
                            Assert.Equal(said.Blocks.Select(block => ((AssistantBlock.Text)block).Value), _partial.Values.Select(text => text.ToString()));
                            WholeMessages++;
                        }
                        _partial.Clear();
                        break;
                }
            }
            return null;
        }
    }

    /// <summary>Lets clients wait for the n-th step of the speaker.</summary>
    private sealed class Steps : IDisposable
    {
        private readonly Lock _gate = new();
        private readonly List<(int Moment, TaskCompletionSource Reached)> _waiting = [];
        private int _step;

        internal void Next()
        {
            lock (_gate)
            {
                _step++;
                foreach (var (_, reached) in _waiting.Where(one => one.Moment <= _step)) reached.TrySetResult();
                _waiting.RemoveAll(one => one.Moment <= _step);
            }
        }

        internal void All()
        {
            lock (_gate) _step = int.MaxValue - 1;
            Next();
        }

        internal Task ReachedAsync(int moment)
        {
            lock (_gate)
            {
                if (moment <= _step) return Task.CompletedTask;
                var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _waiting.Add((moment, reached));
                return reached.Task.WaitAsync(TempPod.Ct);
            }
        }

        public void Dispose()
        {
            lock (_gate) _waiting.Clear();
        }
    }
}
