using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Sandbox;

/// <summary>What every Pod may read besides its scope is one set for file tools and commands, and the end of what exists for both.</summary>
[Collection("sandbox")]
public sealed class PlatformSetTests
{
    private const string Header = "/.nuget/packages/p/p.h", Key = "/.dotnet/corefx/cryptography/x509stores/my/1.pfx";

    private static Task<SandboxRoom> MakeAsync(string level = "kernel") => SandboxRoom.MakeAsync(level, scene: root =>
    {
        Directory.CreateDirectory(root + "/home/.nuget/packages/p");
        File.WriteAllText(root + "/home" + Header, "#define PLATFORM 1\n");
        Directory.CreateDirectory(root + "/home/.nuget/NuGet");
        File.WriteAllText(root + "/home/.nuget/NuGet/NuGet.Config", "secret");
        File.WriteAllText(root + "/home/notes", "private");
        foreach (var directory in new[] { "sdk/10", "corefx/cryptography/x509stores/my" }) Directory.CreateDirectory(root + "/home/.dotnet/" + directory);
        File.WriteAllText(root + "/home" + Key, "secret");
        File.WriteAllText(root + "/home/.dotnet/sdk/10/version", "sdk");
        File.WriteAllText(root + "/home/.dotnet/dotnet", "#!/bin/sh\necho ran\n");
        File.SetUnixFileMode(root + "/home/.dotnet/dotnet", UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        File.WriteAllText(root + "/home/.npmrc", "secret");
    });

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task File_tools_and_commands_read_the_same_platform_set_and_neither_writes_it(string level)
    {
        await using var room = await MakeAsync(level);
        using var files = new ScopedFiles(room.Scope, room.W);
        var tools = FileTools.All(files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
        Task<ToolOutcome> Ask(string tool, params (string, System.Text.Json.Nodes.JsonNode?)[] arguments) => tools[tool].RunAsync(new ToolCall("call", tool, FileRoom.Json(arguments)), SandboxRoom.Ct);

        Assert.Contains("PLATFORM", (await Ask("Read", ("file_path", room.Home + Header))).Content, StringComparison.Ordinal);
        Assert.Contains("PLATFORM", await room.Run($"cat {room.Home}{Header} ~/.nuget/packages/p/p.h"), StringComparison.Ordinal);
        Assert.Contains("p.h", (await Ask("Glob", ("pattern", "**/*.h"), ("path", room.Home))).Content, StringComparison.Ordinal);
        Assert.Contains("p.h", (await Ask("Grep", ("pattern", "PLATFORM"), ("path", room.Home + "/.nuget/packages"))).Content, StringComparison.Ordinal);
        Assert.Contains("root", (await Ask("Read", ("file_path", "/etc/passwd"))).Content, StringComparison.Ordinal);
        Assert.Contains("root", await room.Run("cat /etc/passwd"), StringComparison.Ordinal);
        Assert.Contains("bin/env", (await Ask("Glob", ("pattern", "env"), ("path", "/usr/bin"))).Content, StringComparison.Ordinal);

        // A toolchain below a directory that also holds keys: program and parts, and nothing of the keys.
        Assert.Equal("ran sdk", (await room.Run($"echo $({room.Home}/.dotnet/dotnet) $(cat ~/.dotnet/sdk/10/version)")).Trim());
        Assert.Contains("sdk", (await Ask("Read", ("file_path", room.Home + "/.dotnet/sdk/10/version"))).Content, StringComparison.Ordinal);

        foreach (var path in new[] { room.Home + Key, room.Home + "/notes", room.Home + "/.npmrc", room.Home + "/.nuget/NuGet/NuGet.Config", room.Home + "/.ssh/id", "/etc/shadow", room.O + "/f" })
        {
            var refused = await Assert.ThrowsAsync<ToolFailure>(() => Ask("Read", ("file_path", path)));
            Assert.Contains("and the platform set", refused.Message, StringComparison.Ordinal);
            await room.Fails("cat " + path);
        }
        var listed = (await Ask("Glob", ("pattern", "**/*"), ("path", room.Home))).Content!;
        Assert.DoesNotContain("notes", listed, StringComparison.Ordinal);
        Assert.DoesNotContain("NuGet.Config", listed, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ToolFailure>(() => Ask("Write", ("file_path", room.Home + "/.nuget/packages/p/new"), ("content", "x")));
        await room.Fails($"echo x > {room.Home}/.nuget/packages/p/new");
    }

    [Fact]
    public async Task The_model_is_told_of_the_platform_set_by_its_name_alone_and_may_not_lend_it()
    {
        await using var room = await MakeAsync();
        var scope = room.Scope.Current();
        Assert.Contains("the platform set", scope.Summary(), StringComparison.Ordinal);
        Assert.DoesNotContain("/usr", scope.Summary(), StringComparison.Ordinal);
        Assert.Contains("every Pod may read: leave it out", scope.WhyNotLendable([new("/usr/include", Permission.Read)]), StringComparison.Ordinal);
        Assert.NotNull(scope.WhyNotLendable([new("/usr/include", Permission.Write)]));
    }

    [Fact]
    public async Task A_directory_that_the_settings_add_is_read_unless_it_was_replaced_by_a_link()
    {
        await using var room = await SandboxRoom.MakeAsync(scene: root => Directory.CreateDirectory(root + "/tools"));
        var tools = room.Root + "/tools";
        File.WriteAllText(tools + "/sdk.h", "sdk");
        PlatformSet Find() => PlatformSet.Find(room.Home, "/usr/bin", network: false, [tools, room.Root + "/missing"]);
        ScopePolicy Policy() => SandboxPolicy.Of(new(new([new(room.W, Permission.Write)], []), [], 1), Find(), room.Document.Directories, room.Home, network: false).Access;
        Assert.Equal(Access.Read, Policy().AccessAt(tools + "/sdk.h"));
        Directory.Move(tools, room.Root + "/old");
        Directory.CreateSymbolicLink(tools, room.O);
        Assert.Equal(Access.None, Policy().AccessAt(room.O + "/f"));
        Assert.Equal(Access.None, Policy().AccessAt(tools + "/f"));
    }
}
