"""YAML files that are data: plain content, the nodes behind it for line numbers, and a schema in plain words.

Mistakes that YAML forgives are refused: a key given twice, two documents in one file. Every message says the
file, the line, what was found and how to mend it. A schema's `description` beside a `pattern` or a length is
what the message then says was expected.
"""

import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import yaml

from detente.cache import cache_folder
from detente.errors import InputError, unknown_name
from detente.version import __version__

BOOL = "tag:yaml.org,2002:bool"
DATE = "tag:yaml.org,2002:timestamp"
KeyPath = Sequence[str | int]


def read_text(path: Path, kind: str) -> str:
    """The text of a file; `kind` is the noun for messages ("scenario"). Raises `InputError` if unreadable."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"The {kind} file `{path}` cannot be read: {problem}.") from None


@cache
def schema(path: Path) -> dict[str, Any]:
    """A JSON Schema that ships with the package."""
    return json.loads(path.read_text(encoding="utf-8"))


class _Loader(yaml.SafeLoader):
    """Safe YAML in which only `true` and `false` are truth values: `on`, `NO` and `yes` stay texts."""

    yaml_implicit_resolvers: ClassVar = {
        letter: [(tag, pattern) for tag, pattern in pairs if tag != BOOL]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TextDateLoader(_Fast):
    """The same, but dates stay texts as well, so that a schema can check them and name the line.

    With the fast reader where it is built in, for the long files that ship: as safe, and six times as quick.
    """

    yaml_implicit_resolvers: ClassVar = {
        letter: [(tag, pattern) for tag, pattern in pairs if tag != DATE]
        for letter, pairs in _Loader.yaml_implicit_resolvers.items()
    }


def parse(
    text: str, name: str, entry: str = "entry", *, dates_as_text: bool = False
) -> tuple[Any, yaml.Node | None]:
    """The content as plain data, and its nodes. `name` is the file as shown in messages, `entry` the noun for
    an item of its list. Raises `InputError` for what is no YAML, or repeats a key."""
    try:
        loader = (_TextDateLoader if dates_as_text else _Loader)(text)
        tree = loader.get_single_node()
        _refuse_repeated_keys(tree, name, entry)
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


def line(node: yaml.Node | None, path: KeyPath) -> int:
    """The line on which the entry at `path` begins, as far as the path exists."""
    found_line = node.start_mark.line if node is not None else 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = [(value, value) for value in node.value[step : step + 1]]
        else:
            found = []
        if not found:
            break
        found_line, node = found[0][0].start_mark.line, found[0][1]
    return found_line + 1


def check(
    content: Any,
    tree: yaml.Node | None,
    rules: Mapping[str, Any],
    place: Callable[[KeyPath], str],
    kinds: Mapping[str, str] | None = None,
    model: str = "a shipped file",
) -> None:
    """Raises `InputError` for the first place in the file that does not fit the schema `rules`.

    What has passed once is not checked again, in this process or a later one. `place` puts a path into words, `kinds` adds
    words for types to the usual ones, and `model` names what to compare with.
    """
    passed = _passed(content, rules)
    if passed is not None and passed.exists():
        return
    from jsonschema import Draft202012Validator

    errors = list(Draft202012Validator(rules).iter_errors(content))
    misspelt = [error.absolute_path for error in errors if error.validator == "additionalProperties"]
    found = []
    for error in errors:
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            path.append(str(_extra_key(error)))
        elif error.validator == "required" and error.absolute_path in misspelt:
            continue  # the unknown key is shown first: often it is the missing one
        found.append((line(tree, path) if tree else 0, path, error))
    if found:
        _, path, error = min(found, key=lambda entry: entry[0])
        raise InputError(f"{place(path)}: {_explain(error, path, KINDS | dict(kinds or {}), model)}")
    if passed is not None:
        with suppress(OSError):
            passed.touch()


def _passed(content: Any, rules: Mapping[str, Any]) -> Path | None:
    """The mark that this content has passed this schema; None where nothing can be kept."""
    folder = cache_folder("checked")
    told = f"{__version__}\n{json.dumps(rules, sort_keys=True)}\n{content!r}"
    return None if folder is None else folder / hashlib.sha256(told.encode()).hexdigest()


def _refuse_repeated_keys(tree: yaml.Node | None, name: str, entry: str) -> None:
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
            number, text = key.start_mark.line + 1, str(key.value)
            if text in lines:
                raise InputError(
                    f"{name}, line {number}: the key `{text}` stands on line {lines[text]} already. "
                    f"Remove one; a new {entry} begins with `-`."
                )
            lines[text] = number
            waiting.append(value)


KINDS = {
    "object": "keys with values, as in `name: my-scenario`",
    "array": "a list, each entry beginning with `-`",
    "string": "a text",
    "number": "a number, as 0.9",
    "boolean": "`true` or `false`",
}


def _extra_key(error: Any) -> Any:
    return next(key for key in error.instance if key not in error.schema["properties"])


def _explain(error: Any, path: KeyPath, kinds: Mapping[str, str], model: str) -> str:
    """A schema error in plain words, with the mend."""
    given = "nothing" if error.instance is None else f"`{reprlib.repr(error.instance)}`"
    known = list(error.schema.get("properties", ()))
    if error.validator == "additionalProperties":
        return str(unknown_name("key", str(_extra_key(error)), known, f"Keys here: {', '.join(known)}."))
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"the key `{missing}` is missing. Keys here: {', '.join(known)}."
    if error.validator == "enum":
        return str(unknown_name(_noun(path), str(error.instance), map(str, error.validator_value)))
    if error.validator == "type":
        return f"found {given}, expected {kinds.get(str(error.validator_value), error.validator_value)}."
    expected = error.schema.get("description")
    if expected:
        return f"found {given}, expected {expected}."
    if error.validator == "pattern":
        return f"found {given}, expected small letters, digits and hyphens, as `my-scenario`."
    return f"found {given}, which is too short or too long. Compare with {model}."


def _noun(path: KeyPath) -> str:
    """The last key of a path, for messages."""
    return next((str(key) for key in reversed(path) if isinstance(key, str)), "entry")
