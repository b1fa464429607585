// Says that it runs, and ends when its standard input does.
using var output = Console.OpenStandardOutput();
output.Write("\n"u8);
using var input = Console.OpenStandardInput();
_ = input.ReadByte();
