namespace Yoi.Terminal; internal static class Placeholder;
