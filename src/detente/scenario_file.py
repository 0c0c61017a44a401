"""Scenario files: YAML text to checked plain data that knows its file and lines, for messages.

A file must fit `data/scenario.schema.json`. Mistakes that YAML forgives are refused: a key given twice, a
misspelt key, two documents in one file.
"""

import json
import re
import reprlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import yaml

from detente import labels
from detente.errors import InputError, unknown_name

BOOL = "tag:yaml.org,2002:bool"


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
        line = f", line {_line(self.tree, path)}" if self.tree is not None else ""
        keys, measure = list(path), ""
        if len(keys) > 1 and keys[0] == "measures":
            measure, keys = f", measure {int(keys[1]) + 1}", keys[2:]
        inside = ".".join(str(key) for key in keys if not isinstance(key, int))
        return f"{self.name}{line}{measure}" + (f", `{inside}`" if inside else "")


def read(path: Path, chain: tuple[Path, ...] = ()) -> Source:
    """The checked content of a YAML file; `chain` holds the files whose `base` led here.

    Raises `InputError` for a file that cannot be read, is no YAML, does not fit the schema, or is in `chain`.
    """
    name, place = f"`{path.name}`", path.resolve()
    if place in chain:
        raise InputError(
            f"{name} is its own base: its `base` leads back to it. Remove that key from one of the files."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"The scenario file `{path}` cannot be read: {problem}.") from None
    source = Source(name, *_parse(text, name), (*chain, place))
    check(source)
    return source


def check(source: Source) -> None:
    """Raises `InputError` for the first place that does not fit the schema."""
    from jsonschema import Draft202012Validator

    found = []
    for error in Draft202012Validator(_schema()).iter_errors(source.content):
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            path.append(str(_extra_key(error)))
        found.append((_line(source.tree, path) if source.tree else 0, path, error))
    if found:
        _, path, error = min(found, key=lambda entry: entry[0])
        raise InputError(f"{source.place(path)}: {_explain(error, path)}")


# YAML -------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML in which only `true` and `false` are truth values: `on`, `NO` and `yes` stay texts."""

    yaml_implicit_resolvers: ClassVar = {
        letter: [(tag, pattern) for tag, pattern in pairs if tag != BOOL]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


def _parse(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    """The content as plain data, and its nodes."""
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        _refuse_repeated_keys(tree, name)
        return (None if tree is None else loader.construct_document(tree)), tree
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f"{name}, line {mark.line + 1}" if mark else name
        shown = problem.problem
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as problem:
        # the last three: a date with a thirteenth month, a `!!tag` on a text that does not fit it
        place, shown = name, " ".join(str(problem).split())
    except RecursionError:
        place, shown = name, "it is nested too deeply"
    raise InputError(f"{place}: not valid YAML: {shown}. Check indents, quotes and brackets there.")


def _refuse_repeated_keys(tree: yaml.Node | None, name: str) -> None:
    """YAML keeps the last of two equal keys and says nothing; here it is a mistake."""
    waiting, seen = [tree], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias may lead back to its anchor
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            line, text = key.start_mark.line + 1, str(key.value)
            if text in lines:
                raise InputError(
                    f"{name}, line {line}: the key `{text}` stands on line {lines[text]} already. "
                    "Remove one; a new measure begins with `-`."
                )
            lines[text] = line
            waiting.append(value)


def _line(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """The line on which the entry at `path` begins, as far as the path exists."""
    line = node.start_mark.line if node is not None else 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = [(value, value) for value in node.value[step : step + 1]]
        else:
            found = []
        if not found:
            break
        line, node = found[0][0].start_mark.line, found[0][1]
    return line + 1


# Schema -----------------------------------------------------------------------------------------------------

_KINDS = {
    "object": "keys with values, as in `name: my-scenario`",
    "array": "a list, each entry beginning with `-`",
    "string": "a text",
    "number": "a number, as 0.9",
    "['string', 'array']": "a code, a group's name, or a list of these",
}


@cache
def _schema() -> dict[str, Any]:
    return json.loads((labels.DATA / "scenario.schema.json").read_text(encoding="utf-8"))


def _extra_key(error: Any) -> Any:
    return next(key for key in error.instance if key not in error.schema["properties"])


def _explain(error: Any, path: Sequence[str | int]) -> str:
    """A schema error in plain words, with the mend."""
    given = "nothing" if error.instance is None else f"`{reprlib.repr(error.instance)}`"
    known = list(error.schema.get("properties", ()))
    if error.validator == "additionalProperties":
        return str(unknown_name("key", str(_extra_key(error)), known, f"Keys here: {', '.join(known)}."))
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"the key `{missing}` is missing. Keys here: {', '.join(known)}."
    if error.validator == "enum":
        return str(unknown_name(str(path[-1]), str(error.instance), error.validator_value))
    if error.validator == "type":
        return f"found {given}, expected {_KINDS[str(error.validator_value)]}."
    if error.validator == "pattern":
        return f"found {given}, expected small letters, digits and hyphens, as `my-scenario`."
    return f"found {given}, which is too short or too long. Compare with a shipped scenario."
