using System.CommandLine;
using Yoi.Runtime.Configuration;

namespace Yoi.Commands;

/// <summary><c>yoi config schema</c>: the JSON Schema of <c>yoi.jsonc</c>, for editors.</summary>
internal static class ConfigCommand
{
    internal static Command Create(Surroundings s)
    {
        var schema = new Command("schema", "Print the JSON Schema of yoi.jsonc.");
        schema.SetAction(_ =>
        {
            s.Screen.Write(ConfigSchema.Generate());
            return ExitCode.Ok;
        });
        return new Command("config", "About yoi.jsonc.") { schema };
    }
}
