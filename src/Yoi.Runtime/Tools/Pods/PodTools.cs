using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>The tools for Pods, composed for one Pod.</summary>
internal static class PodTools
{
    /// <summary>All six, in the order in which the model is told of them.</summary>
    internal static IReadOnlyList<Tool> All(LaunchDocument own, ChildSpawner spawner, ChildKeeper keeper, NewsDesk desk, TimeProvider time)
    {
        var children = new Children(own.Directories, desk, time);
        return [
            new SpawnPodTool(spawner), new SendToPodTool(own.Name, children, time), new ReadPodOutputTool(children, time),
            new StopPodTool(children, keeper), new ListPodsTool(children, time), new WaitForPodsTool(children, time)];
    }

    /// <summary>Calls on one Pod in call order: what is read behind a message was asked for behind it.</summary>
    internal static ToolOrder SamePod(JsonElement arguments) =>
        arguments.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String ? new ToolOrder.OnPath("pod:" + name.GetRawText(), Writes: true) : ToolOrder.Beside;

    internal static ToolSchema Schema(string name) => Resources.Schema(name, "Tools/Pods/" + name);
}
