"""The registry: one definition a file, in the order to read them in, found by long and short name."""

from __future__ import annotations

from pathlib import Path

import pytest

import normlab as nl
from grid import acting
from normlab import functional, registry
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import UnknownNameError, UsageError
from normlab.registry import Registry

FILE = '''
from normlab.definition import Definition
{name} = Definition(
    name="{name}", short="{short}", class_name="{cls}", title="t", title_ko="t", family="activation", role="norm",
    source="a paper, equation 1", year=2000, covers=("row",), pools="n [c]",
)
'''


def write(folder: Path, file: str, *definitions: tuple[str, str, str]) -> Path:
    path = folder / f"{file}.py"
    path.write_text("".join(FILE.format(name=n, short=s, cls=c) for n, s, c in definitions) or "x = 1\n")
    return path


def test_every_file_in_methods_is_a_method_of_that_name() -> None:
    files = {p.stem for p in (Path(registry.__file__).parent / "methods").glob("*.py") if not p.stem.startswith("_")}
    assert files == set(nl.list_methods())


def test_the_study_note_comes_first_in_its_order() -> None:
    wanted = [n for n in registry.READING_ORDER if n in nl.list_methods()]
    assert nl.list_methods()[: len(wanted)] == wanted
    assert nl.list_methods()[0] == "batch_norm"


@pytest.mark.parametrize("definition", list(registry.methods()), ids=lambda d: d.name)
def test_a_method_is_found_by_all_its_names(definition: Definition) -> None:
    short = definition.short
    for name in (definition.name, short, definition.class_name, definition.name.replace("_", "-"), f" {short.upper()} "):
        assert nl.method(name) is definition


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("bathc_norm", "batch_norm"), ("layernorm2", "layer_norm"), ("group", "group_norm"), ("rmsnrm", "rms_norm"), ("wnn", "wn")],
)
def test_a_typing_mistake_gets_the_nearest_names(typed: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"unknown method '{typed}'.*Did you mean .*{meant}"):
        nl.method(typed)


@pytest.mark.parametrize("name", ["", "zzzzzz", 5, None])
def test_a_name_like_no_other_gets_them_all(name: object) -> None:
    with pytest.raises(UnknownNameError, match="Known: batch_norm, bn"):
        nl.method(name)  # type: ignore[arg-type]
    assert issubclass(UnknownNameError, LookupError) and issubclass(UnknownNameError, ValueError)


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_defines_exactly_one_method(tmp_path: Path, count: int) -> None:
    write(tmp_path, "odd", *[(f"odd_{k}", f"o{k}", f"Odd{k}") for k in range(count)])
    with pytest.raises(UsageError, match=rf"odd\.py must define exactly one method, got {count}"):
        Registry(tmp_path)


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (("first", "s", "Second"), "name 'first'"),
        (("second", "f", "Second"), "short 'f'"),
        (("second", "s", "First"), "class_name 'First'"),
        (("second", "first", "Second"), "short 'first'"),
        (("f", "s", "Second"), "name 'f'"),
    ],
)
def test_a_name_that_is_taken_is_refused(tmp_path: Path, second: tuple[str, str, str], field: str) -> None:
    write(tmp_path, "a", ("first", "f", "First"))
    write(tmp_path, "b", second)
    with pytest.raises(UsageError, match=rf"b\.py: {field} is taken by first"):
        Registry(tmp_path)


def test_files_that_begin_with_an_underscore_are_no_methods(tmp_path: Path) -> None:
    write(tmp_path, "_helper")
    assert list(Registry(tmp_path)) == []


def test_a_folder_of_ones_own_has_the_same_right(tmp_path: Path) -> None:
    write(tmp_path, "mine", ("mine", "m", "Mine"))
    found = Registry(tmp_path).find("Mine")
    assert found.name == "mine" and face.build(found, 3).definition is found


def test_every_method_is_a_function_and_a_layer() -> None:
    functions = {n for n in dir(functional) if n in nl.list_methods()}
    layers = {c for c in dir(face) if c in {d.class_name for d in registry.methods()}}
    assert functions == {d.name for d in acting()}
    assert layers == {d.class_name for d in acting()}
    for d in acting():
        assert getattr(functional, d.name).__name__ == d.name
        assert getattr(face, d.class_name).definition is d
        assert d.title in (getattr(functional, d.name).__doc__ or "")
        assert d.source in (getattr(face, d.class_name).__doc__ or "")


@pytest.mark.parametrize("place", [functional, face], ids=["functional", "numpy"])
def test_what_there_is_not_is_an_attribute_error_that_lists_what_there_is(place: object) -> None:
    with pytest.raises(AttributeError, match="it has"):
        _ = place.no_such_norm  # type: ignore[attr-defined]
