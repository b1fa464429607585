using Xunit;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Sandbox;

/// <summary>What the user and Yoi keep for themselves, asked for by a command: each way is tried where it works, too.</summary>
[Collection("sandbox")]
public sealed class SecretsInBashTests
{
    private const string Canary = "canary";

    private static string Locks(string path) => $"/usr/bin/python3 -c 'import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)' {path}";

    private static void Home(string root)
    {
        foreach (var path in new[] { ".aws", ".config/gcloud", "work" }) Directory.CreateDirectory($"{root}/home/{path}");
        foreach (var path in new[] { ".aws/credentials", ".config/gcloud/credentials.db", ".netrc", "work/.netrc" }) File.WriteAllText($"{root}/home/{path}", Canary);
        File.WriteAllText(root + "/home/plain", "plain");
    }

    [Fact, Trait("case", "K07"), Trait("case", "L14")]
    public async Task Secrets_of_the_user_and_of_Yoi_are_not_there_even_if_the_home_is_lent()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", ["write:/W", "read:/home", "read:/yoi"], scene: Home);
        Assert.Equal("plain", await room.Run($"cat {room.Home}/plain"));
        await NoSecretIsReadAsync(room);
        await NothingOfYoiIsOpenedAsync(room);
    }

    [Fact, Trait("case", "K07"), Trait("case", "L14")]
    public async Task At_level_partial_a_scope_with_secrets_in_it_runs_nothing_and_beside_one_they_are_not_opened()
    {
        foreach (var (rule, why) in new[] { ("read:/home", "/home/"), ("read:/yoi", "/yoi") })
        {
            await using var wide = await SandboxRoom.MakeAsync("partial", ["write:/W", rule], scene: Home);
            Assert.True(await wide.IsRefused(wide.Root + why));
        }
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "read:/home/plain", "read:/home/work"], scene: Home);
        Assert.Equal("plaincanary", await room.Run($"cat {room.Home}/plain {room.Home}/work/.netrc")); // What is given by name is read.
        await NoSecretIsReadAsync(room);
        await NothingOfYoiIsOpenedAsync(room);
    }

    private static async Task NoSecretIsReadAsync(SandboxRoom room)
    {
        foreach (var path in new[] { ".ssh/id", ".aws/credentials", ".config/gcloud/credentials.db", ".netrc" })
            foreach (var way in new[] { "cat", "head -c1", "grep -q .", "cp -t .", "/usr/bin/python3 -c 'import mmap, sys; f=open(sys.argv[1], \"rb\"); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)'" })
            {
                await room.OnHost($"{way} {room.Home}/{path} > /dev/null && rm -f {Path.GetFileName(path)}");
                await room.Fails($"{way} {room.Home}/{path}");
            }
        foreach (var directory in new[] { ".ssh", ".aws", ".config/gcloud" }) await room.Fails($"ls {room.Home}/{directory}");
        Assert.Equal("", await room.Run($"grep -rIl -e {Canary} -e '{FileRoom.Canary.Trim()}' {room.Home} 2>/dev/null | grep -v /work/; true"));
    }

    /// <summary>The table of scopes and its lock, the Pod's own life-lock and journal, and those of another Pod.</summary>
    private static async Task NothingOfYoiIsOpenedAsync(SandboxRoom room)
    {
        var directories = room.Document.Directories;
        var other = Directory.CreateDirectory(directories.Pods + "/other.1").FullName;
        foreach (var name in new[] { "journal.jsonl", "pod.lock" }) File.WriteAllText($"{other}/{name}", Canary);
        string[] files = [directories.ScopeLock, directories.ScopeTable, .. new[] { room.PodDirectory, other }.SelectMany(pod => (string[])[pod + "/journal.jsonl", pod + "/pod.lock"])];
        await room.Run(Locks("f"));
        foreach (var path in files)
        {
            Assert.True(File.Exists(path), path);
            await room.OnHost($"cat {path} > /dev/null && : >> {path}");
            foreach (var way in new[] { $"cat {path}", $": >> {path}", Locks(path), $"rm -f {path} && [ ! -e {path} ] && echo gone > {path}" }) await room.Fails(way);
            Assert.True(File.Exists(path), path);
        }
        await room.OnHost(Locks(directories.ScopeLock)); // Nobody holds it: it is the opening that fails.
        foreach (var path in new[] { directories.Pods, room.PodDirectory, other }) await room.Fails($"ls {path}");
    }
}
