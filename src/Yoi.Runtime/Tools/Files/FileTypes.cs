namespace Yoi.Runtime.Tools.Files;

/// <summary>Names of file types, as ripgrep's users know them.</summary>
internal static class FileTypes
{
    private static readonly Dictionary<string, string> Patterns = new(StringComparer.Ordinal)
    {
        ["asm"] = "*.{asm,s,S}",
        ["bash"] = "*.{sh,bash}",
        ["bat"] = "*.{bat,cmd}",
        ["c"] = "*.{c,h}",
        ["clojure"] = "*.{clj,cljs,cljc,edn}",
        ["cmake"] = "{*.cmake,CMakeLists.txt}",
        ["config"] = "*.{cfg,conf,config,ini}",
        ["cpp"] = "*.{cpp,cc,cxx,hpp,hh,hxx,h,inl,ipp}",
        ["cs"] = "*.{cs,csx}",
        ["csharp"] = "*.{cs,csx}",
        ["csproj"] = "*.csproj",
        ["css"] = "*.{css,scss,sass,less}",
        ["csv"] = "*.csv",
        ["dart"] = "*.dart",
        ["docker"] = "*Dockerfile*",
        ["elixir"] = "*.{ex,exs,eex,heex}",
        ["erlang"] = "*.{erl,hrl}",
        ["fsharp"] = "*.{fs,fsi,fsx}",
        ["go"] = "*.go",
        ["gradle"] = "*.{gradle,gradle.kts}",
        ["graphql"] = "*.{graphql,graphqls}",
        ["haskell"] = "*.{hs,lhs}",
        ["html"] = "*.{html,htm}",
        ["java"] = "*.java",
        ["jl"] = "*.jl",
        ["js"] = "*.{js,jsx,mjs,cjs,vue}",
        ["json"] = "*.{json,jsonc,jsonl}",
        ["kotlin"] = "*.{kt,kts}",
        ["lua"] = "*.lua",
        ["make"] = "{Makefile,makefile,GNUmakefile,*.mk,*.mak}",
        ["markdown"] = "*.{md,markdown,mdx}",
        ["md"] = "*.{md,markdown,mdx}",
        ["msbuild"] = "*.{csproj,fsproj,vbproj,proj,props,targets,slnx}",
        ["nix"] = "*.nix",
        ["objc"] = "*.{m,mm,h}",
        ["ocaml"] = "*.{ml,mli}",
        ["perl"] = "*.{pl,pm,t}",
        ["php"] = "*.{php,phtml}",
        ["proto"] = "*.proto",
        ["ps"] = "*.{ps1,psm1,psd1}",
        ["py"] = "*.{py,pyi}",
        ["python"] = "*.{py,pyi}",
        ["r"] = "*.{r,R,Rmd}",
        ["ruby"] = "{*.rb,*.rake,*.gemspec,Rakefile,Gemfile}",
        ["rust"] = "*.rs",
        ["scala"] = "*.{scala,sc}",
        ["sh"] = "*.{sh,bash,zsh,ksh}",
        ["sql"] = "*.sql",
        ["svelte"] = "*.svelte",
        ["swift"] = "*.swift",
        ["tex"] = "*.{tex,sty,cls}",
        ["toml"] = "*.toml",
        ["ts"] = "*.{ts,tsx,mts,cts}",
        ["tsx"] = "*.tsx",
        ["txt"] = "*.txt",
        ["vb"] = "*.vb",
        ["vue"] = "*.vue",
        ["xml"] = "*.{xml,xsd,xslt,xaml,resx}",
        ["yaml"] = "*.{yaml,yml}",
        ["zig"] = "*.zig",
    };

    /// <exception cref="ToolFailure">No such type.</exception>
    internal static GlobPattern Pattern(string type)
    {
        if (Patterns.TryGetValue(type.TrimStart('.'), out var pattern)) return GlobPattern.Parse(pattern);
        var hint = Arguments.Nearest(type, Patterns.Keys) is { } near ? $"; did you mean \"{near}\"?" : ".";
        throw new ToolFailure($"unknown file type \"{CappedText.Cut(type, 40)}\"{hint} Known: {string.Join(", ", Patterns.Keys.Order(StringComparer.Ordinal))}. Or use `glob`, such as \"*.ext\".");
    }
}
