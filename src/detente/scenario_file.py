"""Scenario files: YAML text to checked plain data that knows its file and lines, for messages.

A file must fit `data/scenario.schema.json`. Mistakes that YAML forgives are refused: a key given twice, a
misspelt key, two documents in one file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from detente import labels, yaml_file
from detente.errors import InputError

_KINDS = {"['string', 'array']": "a code, a group's name, or a list of these"}


class Source(NamedTuple):
    """Plain data and where it comes from: for a file its name, YAML nodes and the chain of bases to it."""

    name: str
    content: Any
    tree: yaml.Node | None = None
    chain: tuple[Path, ...] = ()

    def beside(self, name: str) -> str:
        """`name`, or the path of the file of that name in the folder of this one."""
        path = self.chain[-1].parent / name if self.chain else None
        return str(path) if path is not None and path.is_file() else name

    def place(self, path: Sequence[str | int]) -> str:
        """`` `mine.yaml`, line 12, measure 2, `lift.by` `` for a path into the content."""
        line = f", line {yaml_file.line(self.tree, path)}" if self.tree is not None else ""
        keys, entry = list(path), ""
        for key, noun in (("outcomes", "outcome"), ("measures", "measure")):
            if len(keys) > 1 and keys[0] == key:
                entry, keys = f"{entry}, {noun} {int(keys[1]) + 1}", keys[2:]
        inside = ".".join(str(key) for key in keys if not isinstance(key, int))
        return f"{self.name}{line}{entry}" + (f", `{inside}`" if inside else "")


def read(path: Path, chain: tuple[Path, ...] = ()) -> Source:
    """The checked content of a YAML file; `chain` holds the files whose `base` led here.

    Raises `InputError` for a file that cannot be read, is no YAML, does not fit the schema, or is in `chain`.
    """
    name, place = f"`{path.name}`", path.resolve()
    if place in chain:
        raise InputError(
            f"{name} is its own base: its `base` leads back to it. Remove that key from one of the files."
        )
    text = yaml_file.read_text(path, "scenario")
    source = Source(name, *yaml_file.parse(text, name, "measure", dates_as_text=True), (*chain, place))
    check(source)
    return source


def check(source: Source) -> None:
    """Raises `InputError` for the first place that does not fit the schema."""
    rules = yaml_file.schema(labels.DATA / "scenario.schema.json")
    yaml_file.check(source.content, source.tree, rules, source.place, _KINDS, "a shipped scenario")
