using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

public sealed class CommandOutputTests
{
    [Fact]
    public void An_output_for_which_there_is_no_file_leaves_no_pipe_open()
    {
        var (pipe, written) = Libc.Pipe();
        using (written) Assert.ThrowsAny<IOException>(() => CommandOutput.Open(pipe, "/proc/none", "go", 1));
        Assert.True(pipe.IsClosed);
    }
}
