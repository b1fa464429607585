using System.Runtime.InteropServices;
using Yoi;

if (Platform.WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSArchitecture, RuntimeInformation.OSDescription) is { } why)
{
    Console.Error.WriteLine("yoi: " + why);
    return ExitCode.Usage;
}
return await FrontDoor.RunAsync(args, Surroundings.OfProcess(), CancellationToken.None);
