using System.Globalization;
using Yoi.Benchmarks;
using Yoi.Benchmarks.Figures;

// Usage: Yoi.Benchmarks [--write FILE] [--only start|read|list|idle|disk|long|commands|search|table|journal|repositories] [NAME=BINARY …]. Measures the binaries that are built, or those that are
// named: two of them side by side show what a change does.
var only = args.SkipWhile(word => word != "--only").Skip(1).FirstOrDefault();
Binary[] named = [.. args.Where(word => word.Contains('=')).Select(word => word.Split('=', 2)).Select(pair => new Binary(pair[0], Path.GetFullPath(pair[1])))];
Binary[] known =
[
    new("AOT proof (net9.0)", Path.GetFullPath("dist/aot-proof/yoi")),
    new("Native AOT", Path.GetFullPath("artifacts/native-aot/out/yoi")),
    new("ReadyToRun", Path.GetFullPath("artifacts/ready-to-run/out/yoi"), Path.GetFullPath("artifacts/empty/out/Yoi.Empty")),
];
var binaries = (named.Length > 0 ? named : known).Where(binary => File.Exists(binary.Path)).ToArray();
if (binaries.Length == 0)
{
    Console.Error.WriteLine("nothing is built: `make bench` builds what it measures");
    return 1;
}
var report = new Report(binaries);
foreach (var binary in binaries)
{
    if (only is null or "start") await StartFigures.MeasureAsync(report, binary);
    if (only is null or "read") await ReadFigures.MeasureAsync(report, binary);
    if (only is null or "list") await ListFigures.MeasureAsync(report, binary);
    if (only is null or "idle") await IdleFigures.MeasureAsync(report, binary);
    if (only is null or "disk") await DiskFigures.MeasureAsync(report, binary);
    if (only is null or "long") await LongLifeFigures.MeasureAsync(report, binary);
    if (only is null or "commands") await CommandFigures.MeasureAsync(report, binary);
    if (only is null or "search") await SearchFigures.MeasureAsync(report, binary);
}
if (only is null or "table") await TableFigures.MeasureAsync(report);
if (only is null or "journal") await JournalFigures.MeasureAsync(report);
if (only is null or "repositories") RepositoryFigures.Measure(report);
var memory = File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
var text = report.Markdown(string.Create(
    CultureInfo.InvariantCulture,
    $"Measured with {Environment.ProcessorCount} cores and {long.Parse(memory, CultureInfo.InvariantCulture) / 1_048_576} GiB of memory on {System.Runtime.InteropServices.RuntimeInformation.OSArchitecture}."));
if (args.SkipWhile(word => word != "--write").Skip(1).FirstOrDefault() is { } file) File.WriteAllText(file, text);
else Console.Write(text);
return 0;
