using System.Globalization;
using Yoi.Benchmarks;
using Yoi.Benchmarks.Figures;

// Usage: Yoi.Benchmarks [--write FILE]. Measures the binaries that are built.
Binary[] known =
[
    new("AOT proof (net9.0)", Path.GetFullPath("dist/aot-proof/yoi")),
    new("Native AOT", Path.GetFullPath("artifacts/native-aot/out/yoi")),
    new("ReadyToRun", Path.GetFullPath("artifacts/ready-to-run/out/yoi")),
];
var binaries = known.Where(binary => File.Exists(binary.Path)).ToArray();
if (binaries.Length == 0)
{
    Console.Error.WriteLine("nothing is built: `make bench` builds what it measures");
    return 1;
}
var report = new Report(binaries);
foreach (var binary in binaries)
{
    await StartFigures.MeasureAsync(report, binary);
    await ReadFigures.MeasureAsync(report, binary);
    await ListFigures.MeasureAsync(report, binary);
    await IdleFigures.MeasureAsync(report, binary);
    await DiskFigures.MeasureAsync(report, binary);
}
await TableFigures.MeasureAsync(report);
await JournalFigures.MeasureAsync(report);
RepositoryFigures.Measure(report);
var memory = File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
var text = report.Markdown(string.Create(
    CultureInfo.InvariantCulture,
    $"Measured with {Environment.ProcessorCount} cores and {long.Parse(memory, CultureInfo.InvariantCulture) / 1_048_576} GiB of memory on {System.Runtime.InteropServices.RuntimeInformation.OSArchitecture}."));
if (args is ["--write", var file]) File.WriteAllText(file, text);
else Console.Write(text);
return 0;
