"""Whole cache lines, written past the caches: a vector type for kernels whose output is too large to stay in one.

A store to a line that is not in the cache first reads it, only to overwrite it. A non-temporal store does not, which
spares a third of the traffic, and leaves the cache to what is read: the store must fill an aligned line of 64 bytes, so
there is a type for that many numbers, in float32 or float64. Scalars beside a line count for each of its numbers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .halves import narrowed, wide_type, widened

__all__ = ["BYTES", "bump_line", "fence", "head", "lanes", "load_line", "muladd_lines", "store_line", "times"]

BYTES = 64


class Line(types.Type):
    """As many numbers as a line of the written array holds."""

    def __init__(self, element: Any, count: int) -> None:
        self.element, self.count = element, count
        super().__init__(name=f"Line({element}, {count})")


@register_model(Line)
class _LineModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Line) -> None:
        element = ir.DoubleType() if kind.element == types.float64 else ir.FloatType()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


def _count(array: Any) -> int:
    return 8 * BYTES // array.dtype.bitwidth


def _line_of(array: Any) -> Line:
    return Line(wide_type(array.dtype), _count(array))


def _at(builder: Any, pointer: Any, index: Any, count: int) -> Any:
    place = builder.gep(pointer, [index], inbounds=True)
    return builder.bitcast(place, ir.VectorType(pointer.type.pointee, count).as_pointer())


def _spread(builder: Any, kind: Any, value: Any, count: int) -> Any:
    if isinstance(kind, Line):
        return value
    vector = ir.VectorType(value.type, count)
    none = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


@intrinsic
def lanes(typingctx: Any, written: Any) -> Any:
    """How many numbers fill a line of this pointer's memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.int64, _count(written))

    return types.int64(written), generate


@intrinsic
def head(typingctx: Any, written: Any, index: Any) -> Any:
    """How many numbers lie between `written[index]` and the next whole line."""
    item = written.dtype.bitwidth // 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i64 = ir.IntType(64)
        address = builder.ptrtoint(builder.gep(arguments[0], [arguments[1]], inbounds=True), i64)
        beyond = builder.and_(builder.neg(address), ir.Constant(i64, BYTES - 1))
        return builder.udiv(beyond, ir.Constant(i64, item))

    return types.int64(written, types.int64), generate


@intrinsic
def load_line(typingctx: Any, written: Any, array: Any, index: Any) -> Any:
    """As many numbers of `array`, from `index` on, as fill a line of `written`."""
    count = _count(written)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _at(builder, arguments[1], arguments[2], count)
        return widened(builder, array.dtype, builder.load(place, align=array.dtype.bitwidth // 8))

    return _line_of(written)(written, array, types.int64), generate


@intrinsic
def store_line(typingctx: Any, written: Any, index: Any, line: Any) -> Any:
    """Write a line at `written[index]`, which must be the start of one, past the caches."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _at(builder, arguments[0], arguments[1], line.count)
        made = builder.store(narrowed(builder, written.dtype, arguments[2]), place, align=BYTES)
        made.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(written, types.int64, line), generate


@intrinsic
def bump_line(typingctx: Any, array: Any, index: Any, line: Any) -> Any:
    """`array[index : index + lanes] += line`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, align = _at(builder, arguments[0], arguments[1], line.count), array.dtype.bitwidth // 8
        builder.store(builder.fadd(builder.load(place, align=align), arguments[2]), place, align=align)
        return context.get_dummy_value()

    return types.void(array, types.int64, line), generate


@intrinsic
def times(typingctx: Any, a: Any, b: Any) -> Any:
    """a * b of two lines."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return a(a, b), generate


@intrinsic
def muladd_lines(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded as `halves.muladd` does; some of them lines."""
    line = next(kind for kind in (a, b, c) if isinstance(kind, Line))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = [_spread(builder, k, v, line.count) for k, v in zip((a, b, c), arguments, strict=True)]
        vector = given[0].type
        name = f"llvm.fmuladd.v{line.count}f{line.element.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        return builder.call(function, given)

    return line(*(k if isinstance(k, Line) else line.element for k in (a, b, c))), generate


@intrinsic
def fence(typingctx: Any) -> Any:
    """What was written past the caches is there for every thread that hears of it after this."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
