using System.Buffers.Binary;

namespace Yoi.Runtime.Sandbox;

/// <summary>One instruction of classic BPF, as in linux/filter.h.</summary>
internal readonly record struct BpfInstruction(ushort Code, byte JumpTrue, byte JumpFalse, uint Value)
{
    internal const ushort LoadWord = 0x20, And = 0x54, JumpEqual = 0x15, JumpGreaterEqual = 0x35, JumpSet = 0x45, Return = 0x06;

    internal const int Size = 8;

    internal void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(to, Code);
        (to[2], to[3]) = (JumpTrue, JumpFalse);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], Value);
    }
}

/// <summary>What the kernel lays before a seccomp filter: <c>struct seccomp_data</c>.</summary>
internal readonly record struct SystemCall(uint Machine, uint Number, ulong Argument0 = 0, ulong Argument1 = 0, ulong Argument2 = 0)
{
    internal const uint NumberAt = 0, MachineAt = 4;

    /// <summary>Offset of the low word of an argument.</summary>
    internal static uint ArgumentAt(int index) => (uint)(16 + (8 * index));

    private uint Word(uint offset) => offset switch
    {
        NumberAt => Number,
        MachineAt => Machine,
        16 => (uint)Argument0,
        20 => (uint)(Argument0 >> 32),
        24 => (uint)Argument1,
        28 => (uint)(Argument1 >> 32),
        32 => (uint)Argument2,
        36 => (uint)(Argument2 >> 32),
        _ => throw new ArgumentOutOfRangeException(nameof(offset), offset, "no such word"),
    };

    /// <summary>What the filter answers to this call: the interpreter of those machines that are not here to try.</summary>
    internal uint Judge(IReadOnlyList<BpfInstruction> filter)
    {
        uint accumulator = 0;
        for (var at = 0; ; at++)
        {
            var now = filter[at];
            switch (now.Code)
            {
                case BpfInstruction.LoadWord: accumulator = Word(now.Value); break;
                case BpfInstruction.And: accumulator &= now.Value; break;
                case BpfInstruction.JumpEqual: at += accumulator == now.Value ? now.JumpTrue : now.JumpFalse; break;
                case BpfInstruction.JumpGreaterEqual: at += accumulator >= now.Value ? now.JumpTrue : now.JumpFalse; break;
                case BpfInstruction.JumpSet: at += (accumulator & now.Value) != 0 ? now.JumpTrue : now.JumpFalse; break;
                case BpfInstruction.Return: return now.Value;
                default: throw new InvalidOperationException($"no such instruction: {now.Code:x}");
            }
        }
    }
}
