using System.Runtime.InteropServices;
using Yoi;

if (Platform.WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSArchitecture, RuntimeInformation.OSDescription) is { } why)
{
    Console.Error.WriteLine("yoi: " + why);
    return ExitCode.Usage;
}
var surroundings = Surroundings.OfProcess();
try
{
    return await FrontDoor.RunAsync(args, surroundings, CancellationToken.None);
}
catch (Exception e)
{
    return FrontDoor.Explain(surroundings, e);
}
