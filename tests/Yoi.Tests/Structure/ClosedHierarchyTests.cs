using System.Reflection;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Structure;

public sealed class ClosedHierarchyTests
{
    private static readonly Assembly[] Ours = [typeof(Entry).Assembly, typeof(Yoi.Runtime.Models.IModel).Assembly, Assembly.Load("yoi"), Assembly.Load("Yoi.Terminal")];

    [Theory]
    [InlineData(typeof(Entry), nameof(Kinds.Entries), nameof(Entry.Unknown))]
    [InlineData(typeof(Method), nameof(Kinds.Methods), null)]
    [InlineData(typeof(Event), nameof(Kinds.Events), null)]
    [InlineData(typeof(ReplyResult), nameof(Kinds.Results), null)]
    public void Every_case_has_a_name_and_every_name_its_own_case(Type hierarchy, string table, string? nameless)
    {
        var kinds = (Kinds)typeof(Kinds).GetProperty(table)!.GetValue(null)!;
        var cases = Cases(hierarchy).Where(type => type.Name != nameless);
        Assert.Equal(cases.Select(type => type.Name).Order(), kinds.All.Select(kind => kind.Type.Name).Order());
        Assert.All(kinds.All, kind => Assert.Equal(kind.Type, kind.Json.Type));
        Assert.All(kinds.All, kind => Assert.Equal(kind.Bare, kind.Json.Properties.Count == 0 && hierarchy != typeof(ReplyResult)));
    }

    [Fact]
    public void A_hierarchy_is_closed_its_constructor_private_its_cases_sealed_and_in_one_place()
    {
        var roots = Ours.SelectMany(assembly => assembly.GetTypes()).Where(IsHierarchy).ToList();
        Assert.Contains(typeof(Entry), roots);
        var all = Ours.SelectMany(assembly => assembly.GetTypes()).ToList();
        foreach (var root in roots)
        {
            Assert.All(root.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic),
                constructor => Assert.True(constructor.IsPrivate || IsCopy(constructor, root), $"{root} can be derived from anywhere"));
            Assert.All(all.Where(type => type.BaseType == root),
                type => Assert.True(type.IsSealed && type.DeclaringType == root, $"{type} is no sealed case inside {root}"));
        }
    }

    private static bool IsHierarchy(Type type) => type is { IsAbstract: true, IsSealed: false, IsClass: true }
        && type.GetMethod("<Clone>$") is not null && Cases(type).Any();

    private static bool IsCopy(ConstructorInfo constructor, Type of) => constructor.GetParameters() is [var only] && only.ParameterType == of;

    private static IEnumerable<Type> Cases(Type hierarchy) =>
        hierarchy.GetNestedTypes(BindingFlags.Public | BindingFlags.NonPublic).Where(type => type.BaseType == hierarchy);
}
