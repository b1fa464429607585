using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>What is written of a table is what the serializer would write of it, whatever is copied from the text before.</summary>
public sealed class TableTextTests
{
    private static TableRow Row(int number, string folder = "/w/é") => new(
        $"{number:x32}", $"pod{number}", $"/state/pods/pod{number}", null, $"{number:x32}", 0, false, number,
        new ScopeRules([new ScopeRule($"{folder}{number}", Permission.Write)], []), new PodLimits(), null);

    private static void IsWhole(TableText text, TableDocument table) =>
        Assert.Equal(JsonSerializer.Serialize(table, TableText.Json.TableDocument), Encoding.UTF8.GetString(text.Bytes.Span));

    [Fact]
    public void Rows_that_stay_are_copied_and_all_others_are_written_wherever_they_stand()
    {
        var table = new TableDocument(1, 9, [.. Enumerable.Range(1, 5).Select(number => Row(number))]);
        var text = TableText.Of(table, null);
        IsWhole(text, table);
        var (one, two, three, five) = (table.Pods[0], table.Pods[1], table.Pods[2], table.Pods[4]);
        foreach (var pods in (TableRow[][])[[], [three], [one, two, three, five, Row(6)], [Row(7), five, one], [one, two with { Pending = true }, three], [one, one]])
        {
            var next = new TableDocument(1, 1_000_000, pods);
            text = TableText.Of(next, text);
            IsWhole(text, next);
        }
    }

    [Fact]
    public void A_row_that_equals_an_earlier_one_and_is_another_object_is_written_anew()
    {
        var (row, twin) = (Row(1, "/a"), Row(1, "/b"));
        var text = TableText.Of(new TableDocument(1, 1, [row]), null);
        var next = new TableDocument(1, 2, [twin]);
        IsWhole(TableText.Of(next, text), next);
    }
}
