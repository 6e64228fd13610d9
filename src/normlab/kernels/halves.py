"""How kernels read and write memory: every dtype one number at a time, computed with in float32 or float64.

Half precision comes as whole numbers of 16 bits, as no compiler for Python computes with it: uint16 is bfloat16, int16
is float16 (`stored`). `load` widens to float32, `store` rounds once to the nearest, ties to even, and a NaN stays one;
both turn into a few vector instructions in a loop, so there is never a float32 copy. An index counts from the start of
the array and is never taken from its end: a compiler that must ask for the sign of an index makes no vectors.

Arrays come to kernels as addresses with a `token`, an empty array that tells the dtype: a Numba function is compiled
again for every combination of read-only, misaligned and differently ordered arrays, and for a whole number it is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = [
    "TOKENS", "as_array", "bump", "compute_dtype", "like", "load", "muladd", "narrowed", "pointer", "store", "sub",
    "wide_type", "widened",
]  # fmt: skip

BFLOAT16 = np.dtype(np.uint16)
FLOAT16 = np.dtype(np.int16)
# What tells a kernel a dtype: an empty array, or a number of it for one that uses pointers.
TOKENS = {np.dtype(t): np.empty(0, t) for t in (np.float32, np.float64, np.uint16, np.int16)}


def compute_dtype(stored: np.dtype) -> np.dtype:
    """What a kernel computes with: float64 for float64, else float32."""
    return stored if stored == np.float64 else np.dtype(np.float32)


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data if isinstance(kind, types.Array) else array
    return builder.gep(data, [index], inbounds=True)


def wide_type(element: Any) -> Any:
    """What a number of this type is computed with."""
    return types.float64 if element == types.float64 else types.float32


def _as(kind: Any, value: Any) -> Any:
    """`kind`, or a vector of it where `value` is one."""
    return ir.VectorType(kind, value.type.count) if isinstance(value.type, ir.VectorType) else kind


def widened(builder: Any, element: Any, value: Any) -> Any:
    """What was read of this type, one number or a vector, as it is computed with."""
    if element == types.uint16:
        wide = _as(ir.IntType(32), value)
        bits = builder.shl(builder.zext(value, wide), _constant(wide, 16))
        return builder.bitcast(bits, _as(ir.FloatType(), value))
    if element == types.int16:
        return builder.fpext(builder.bitcast(value, _as(ir.HalfType(), value)), _as(ir.FloatType(), value))
    return value


def narrowed(builder: Any, element: Any, value: Any) -> Any:
    """A result, one number or a vector, as it is stored in this type: rounded to nearest, ties to even."""
    if element == types.uint16:
        return _to_bfloat16(builder, value)
    if element == types.int16:
        return builder.bitcast(builder.fptrunc(value, _as(ir.HalfType(), value)), _as(ir.IntType(16), value))
    return value


def _constant(kind: Any, number: int) -> Any:
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


# What `load` reads is neither what `store` writes (an output is new memory, and nothing reads it back) nor what `bump`
# adds up, and saying so spares the compiler its checks whether a row of x and a row of y overlap.
def _say_apart(builder: Any, instruction: Any, own: str = "") -> None:
    module = builder.module
    domain = module.add_metadata(["normlab"])
    scopes = {name: module.add_metadata([name, domain]) for name in ("written", "summed")}
    if own:
        instruction.set_metadata("alias.scope", module.add_metadata([scopes[own]]))
    instruction.set_metadata("noalias", module.add_metadata([s for name, s in scopes.items() if name != own]))


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """`array[index]`, in float32, or float64 where the array is."""
    element = array.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, array, arguments[0], arguments[1])
        value = builder.load(pointer, align=element.bitwidth // 8)
        _say_apart(builder, value)
        return widened(builder, element, value)

    return wide_type(element)(array, types.int64), generate


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index] = value`, rounded to the array's dtype; what is written here is not read by `load`."""
    element = array.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, array, arguments[0], arguments[1])
        number = narrowed(builder, element, arguments[2])
        written = builder.store(number, pointer, align=element.bitwidth // 8)
        _say_apart(builder, written, "written")
        return context.get_dummy_value()

    return types.void(array, types.int64, wide_type(element)), generate


@intrinsic
def bump(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index] += value`, of sums that neither `load` nor `store` touches in the same loop."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, array, arguments[0], arguments[1])
        before = builder.load(pointer)
        _say_apart(builder, before, "summed")
        _say_apart(builder, builder.store(builder.fadd(before, arguments[2]), pointer), "summed")
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), generate


def _to_bfloat16(builder: Any, value: Any) -> Any:
    i32 = _as(ir.IntType(32), value)
    bits = builder.bitcast(value, i32)
    odd = builder.and_(builder.lshr(bits, _constant(i32, 16)), _constant(i32, 1))
    rounded = builder.add(bits, builder.add(odd, _constant(i32, 0x7FFF)))
    # Rounding up may carry a NaN's payload into the sign: cut it off instead, and keep it a quiet one.
    nan = builder.or_(bits, _constant(i32, 0x400000))
    kept = builder.select(builder.fcmp_unordered("uno", value, value), nan, rounded)
    return builder.trunc(builder.lshr(kept, _constant(i32, 16)), _as(ir.IntType(16), value))


@intrinsic
def sub(typingctx: Any, a: Any, b: Any) -> Any:
    """a - b, which no reordering may touch: (x - shift) summed must not become sum(x) - n shift."""
    both = types.float64 if types.float64 in (a, b) else types.float32

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fsub(*arguments)

    return both(both, both), generate


@intrinsic
def muladd(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the machine can: the same in the middle of a row and at its end."""
    wide = types.float64 if types.float64 in (a, b, c) else types.float32

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.fmuladd", [kind], ir.FunctionType(kind, [kind] * 3))
        return builder.call(function, arguments)

    return wide(wide, wide, wide), generate


@intrinsic
def pointer(typingctx: Any, address: Any, token: Any) -> Any:
    """The memory at `address`, of the token's dtype. Unlike an array it has no owner whom every call would count."""
    kind = types.CPointer(types.unliteral(getattr(token, "dtype", token)))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, token), generate


@intrinsic
def like(typingctx: Any, value: Any, token: Any) -> Any:
    """`value` in the token's dtype, float32 or float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0] if token == types.float64 else builder.fptrunc(arguments[0], ir.FloatType())

    return token(types.float64, token), generate


@intrinsic
def as_array(typingctx: Any, address: Any, token: Any) -> Any:
    """The memory at `address` as an array of the token's dtype, to be read by `load` and written by `store`."""
    kind = types.Array(token.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(kind)(context, builder)
        array.data = builder.inttoptr(arguments[0], array.data.type)
        return array._getvalue()

    return kind(types.int64, token), generate
