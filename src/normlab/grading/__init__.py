"""Grades somebody's own implementation of a method, and names what is wrong with it.

`checking` is the front; `process` runs `child`, which examines: `forward` finds the recipe of what came back (`recipe`,
`mistakes`, `naming`), `corners`, `state` and `gradient` look at the rest. One more known mistake is an entry in
`mistakes` (or `particular`) and its sentence in `sentences`.
"""

from .checking import Grade, check

__all__ = ["Grade", "check"]
