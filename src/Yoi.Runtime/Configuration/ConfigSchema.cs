using System.ComponentModel;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;

namespace Yoi.Runtime.Configuration;

/// <summary>The JSON Schema of <c>yoi.jsonc</c>, made from the types that read it. Committed as docs/yoi.schema.json.</summary>
internal static class ConfigSchema
{
    internal static string Generate()
    {
        var options = new JsonSchemaExporterOptions
        {
            TreatNullObliviousAsNonNullable = true,
            TransformSchemaNode = (context, node) =>
            {
                if (node is not JsonObject schema) return node;
                var description = context.PropertyInfo?.AttributeProvider?.GetCustomAttributes(typeof(DescriptionAttribute), true)
                    .OfType<DescriptionAttribute>().FirstOrDefault()?.Description;
                if (description is not null) schema.Insert(0, "description", description);
                return schema;
            },
        };
        var root = (JsonObject)ConfigJson.Default.YoiConfig.GetJsonSchemaAsNode(options);
        root.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        root.Insert(1, "title", "yoi.jsonc");
        root["type"] = "object";
        return root.ToJsonString(new(ConfigJson.Default.Options) { WriteIndented = true }) + "\n";
    }
}
