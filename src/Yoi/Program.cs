using System.Runtime.InteropServices;
using Yoi;
using Yoi.Runtime;

if (Platform.WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSArchitecture, RuntimeInformation.OSDescription) is { } why)
{
    Console.Error.WriteLine("yoi: " + why);
    return ExitCode.Usage;
}
// A Pod process: no command line is parsed for it, so that it starts fast.
if (args is ["serve"] && Console.IsInputRedirected) return await PodHostProcess.RunAsync(Console.OpenStandardInput(), Console.OpenStandardOutput(), TimeProvider.System);
var surroundings = Surroundings.OfProcess();
try
{
    return await FrontDoor.RunAsync(args, surroundings, CancellationToken.None);
}
catch (Exception e)
{
    return FrontDoor.Explain(surroundings, e);
}
