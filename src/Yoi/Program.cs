using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi;
using Yoi.Runtime;
using Yoi.Runtime.Spawning;

if (Platform.WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSArchitecture, RuntimeInformation.OSDescription) is { } why)
{
    Console.Error.WriteLine("yoi: " + why);
    return ExitCode.Usage;
}
// A Pod process: no command line is parsed for it, so that it starts fast.
// Its answer does not go through the console's stream, which takes a reader that is gone for one that has read.
if (args is [PodProgram.Serve] && Console.IsInputRedirected)
{
    await using var answer = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
    return await PodHostProcess.RunAsync(Console.OpenStandardInput(), answer, TimeProvider.System);
}
if (args is [PodProgram.Keep] && KeeperProcess.IsWanted) return KeeperProcess.Run();
Surroundings surroundings;
try
{
    surroundings = Surroundings.OfProcess();
}
catch (CommandException e)
{
    Console.Error.WriteLine("yoi: " + e.Message);
    return e.ExitCode;
}
try
{
    return await FrontDoor.RunAsync(args, surroundings, CancellationToken.None);
}
catch (Exception e)
{
    return FrontDoor.Explain(surroundings, e);
}
