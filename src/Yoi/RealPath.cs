namespace Yoi;

/// <summary>
/// A path with its symbolic links followed, as the human meant it when typing. Only names a scope's roots at the start; what a Pod
/// may open later is judged by what the kernel resolves.
/// </summary>
internal static class RealPath
{
    private const int MostLinks = 40;

    internal static string Of(string path, string cwd)
    {
        var links = 0;
        return Follow(System.IO.Path.GetFullPath(path, cwd), ref links);
    }

    private static string Follow(string path, ref int links)
    {
        var real = "/";
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            real = System.IO.Path.Join(real, name);
            if (new FileInfo(real).LinkTarget is not { } target) continue;
            if (++links > MostLinks) throw new CommandException(ExitCode.Usage, $"{path}: more than {MostLinks} symbolic links");
            real = Follow(System.IO.Path.GetFullPath(target, System.IO.Path.GetDirectoryName(real)!), ref links);
        }
        return real;
    }
}
