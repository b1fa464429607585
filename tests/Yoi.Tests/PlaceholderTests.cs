namespace Yoi.Tests;

public sealed class PlaceholderTests
{
    [Xunit.Fact]
    public void Builds() => Xunit.Assert.True(true);
}
