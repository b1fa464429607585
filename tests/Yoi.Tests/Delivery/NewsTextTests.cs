using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;

namespace Yoi.Tests.Delivery;

public sealed class NewsTextTests
{
    [Fact]
    public void End_reasons_are_called_what_the_journal_calls_them()
    {
        foreach (var reason in Enum.GetValues<RunEnd>()) Assert.Equal(JsonSerializer.Serialize(reason).Trim('"'), NewsText.Word(reason));
        foreach (var reason in Enum.GetValues<PodEnd>()) Assert.Equal(JsonSerializer.Serialize(reason).Trim('"'), NewsText.Word(reason));
    }
}
