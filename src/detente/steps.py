"""The steps of a scenario, measures and acts, from checked plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from detente.acts import Imposition, Keeping, Snapback, Suspension
from detente.board import KINDS, read_rule
from detente.errors import InputError
from detente.measure import Lifting, Measure
from detente.menu import Rule
from detente.scenario_file import Source

ACTS = {"lift": Lifting, "keep": Keeping, "suspend": Suspension, "snapback": Snapback, "impose": Imposition}
Step = Measure | Rule | Lifting | Imposition


def read_steps(source: Source, path: Sequence[str | int] = ()) -> tuple[Step, ...]:
    """The list `measures` of the mapping at `path` in the content. Raises `InputError` with the line and the mend."""
    content = source.content
    for key in path:
        content = content[key]
    entries = content.get("measures", [])
    return tuple(_step(entry, source.place((*path, "measures", k))) for k, entry in enumerate(entries))


def _step(entry: Mapping[str, Any], place: str) -> Step:
    try:
        for key, act in ACTS.items():
            if key in entry:
                return act(**entry[key], place=place)
        if entry.get("instrument") in KINDS:
            return read_rule(entry, place)
        span = {"range": tuple(entry["range"])} if "range" in entry else {}
        return Measure(**{**entry, **span}, place=place)
    except InputError as problem:
        raise InputError(f"{place}: {problem}") from None
