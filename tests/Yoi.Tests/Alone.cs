using Xunit;

namespace Yoi.Tests;

/// <summary>Tests that count what their own process holds: none runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public static class Alone
{
    internal const string Name = "alone";
}
