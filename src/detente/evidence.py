"""The evidence ledger: who said or did what, when, how we know, and which measures it bears on.

A statement is recorded as points: on a topic, which is a proposition from a closed list, it asserts, denies or
is silent. Silent means that the text was read and does not touch the topic; a topic without a point was not
examined. Paraphrases are in our own words. The files stand in `data/evidence`; docs/evidence.md explains them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from textwrap import TextWrapper
from typing import Any, NamedTuple

import yaml

from detente import labels, yaml_file
from detente.errors import InputError, unknown_name

SHIPPED = labels.DATA / "evidence"
WIDTH = 110  # of printed tables
VERIFICATION = {
    "verified": "the whole text was read, in the original or in a full reproduction or translation",
    "sourced": "read in part, or in the report of someone else",
    "unverified": "not seen: from memory or inference",
}


class Topic(NamedTuple):
    """A topic of the closed list: its id and the proposition that statements assert or deny."""

    id: str
    proposition: str


@dataclass(frozen=True)
class Source:
    """Where a statement stands. `verification` is a key of `VERIFICATION`; `seen` says what was read."""

    citation: str
    verification: str
    url: str = ""
    seen: str = ""


@dataclass(frozen=True)
class Point:
    """What a statement does with one topic: `stance` is asserts, denies or silent, `confidence` how sure that
    reading is (high, medium, low), `bears_on` the measures or packages concerned."""

    topic: str
    stance: str
    paraphrase: str
    confidence: str
    bears_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A dated statement or act of one speaker; at most one point a topic."""

    id: str
    speaker: str
    side: str
    occasion: str
    date: date
    source: Source
    points: tuple[Point, ...]
    note: str = ""

    def point(self, topic: str) -> Point | None:
        """The point on a topic; None where the topic was not examined."""
        return next((point for point in self.points if point.topic == topic), None)

    def topics(self, stance: str = "asserts") -> tuple[str, ...]:
        """The topics on which the statement takes this stance, in the order of the file."""
        return tuple(point.topic for point in self.points if point.stance == stance)

    def __str__(self) -> str:
        """Everything recorded, for the terminal."""
        head = [f"{self.id}: {self.speaker} ({self.side}), {self.date}", _wrap(self.occasion)]
        rows = [
            f"\n{point.topic}: {point.stance} (reading: {point.confidence} confidence)\n{_wrap(point.paraphrase)}"
            + (f"\n  Bears on: {', '.join(point.bears_on)}" if point.bears_on else "")
            for point in self.points
        ]
        source = self.source
        foot = [
            f"Source: {source.citation}",
            source.url,
            f"{source.verification}: {source.seen}".rstrip(": "),
        ]
        notes = [_wrap(f"Note: {self.note}", "")] if self.note else []
        return "\n".join([*head, *notes, *rows, "", *(_wrap(line, "") for line in foot if line)])


VERDICTS = {
    "both": "Both assert",
    "first": "Only {first} asserts",
    "second": "Only {second} asserts",
    "opposed": "One asserts, the other denies",
    "denied": "Denied, asserted by neither",
    "neither": "Neither asserts nor denies",
    "open": "Not examined in one of the two, so not to be compared",
}


class Row(NamedTuple):
    """A topic in a comparison; a point is None where that statement was not examined on it."""

    topic: str
    first: Point | None
    second: Point | None

    @property
    def verdict(self) -> str:
        """A key of `VERDICTS`. `both` means that both assert the proposition, not that they say the same."""
        if self.first is None or self.second is None:
            return "open"
        stances = (self.first.stance, self.second.stance)
        return {
            ("asserts", "asserts"): "both",
            ("asserts", "silent"): "first",
            ("silent", "asserts"): "second",
            ("asserts", "denies"): "opposed",
            ("denies", "asserts"): "opposed",
            ("silent", "silent"): "neither",
        }.get(stances, "denied")


@dataclass(frozen=True)
class Comparison:
    """Two statements side by side: one row a topic that either of them was examined on."""

    first: Statement
    second: Statement
    rows: tuple[Row, ...]

    def topics(self, verdict: str) -> tuple[str, ...]:
        """The topics with a verdict of `VERDICTS`. Raises `InputError` for an unknown verdict."""
        if verdict not in VERDICTS:
            raise unknown_name("verdict", verdict, VERDICTS)
        return tuple(row.topic for row in self.rows if row.verdict == verdict)

    def heading(self, verdict: str) -> str:
        """The words for a verdict, with the two names."""
        return VERDICTS[verdict].format(first=self.first.id, second=self.second.id)

    def table(self) -> str:
        """One line a topic: the stance of each, and the verdict."""
        cells = [("topic", self.first.id, self.second.id, "")]
        cells += [
            (row.topic, _stance(row.first), _stance(row.second), self.heading(row.verdict))
            for row in sorted(self.rows, key=lambda row: list(VERDICTS).index(row.verdict))
        ]
        return _columns(cells)

    def __str__(self) -> str:
        """The table, then what each says in our words, then how far the texts are known."""
        parts = [self.table()]
        for verdict in VERDICTS:
            rows = [row for row in self.rows if row.verdict == verdict and verdict not in ("neither", "open")]
            parts += [self.heading(verdict), *map(self._paraphrases, rows)] if rows else []
        parts += ["How far the texts are known", self._known(self.first), self._known(self.second)]
        return "\n\n".join(parts)

    def _paraphrases(self, row: Row) -> str:
        said = ((self.first, row.first), (self.second, row.second))
        return "\n".join(
            [
                f"  {row.topic}",
                *(
                    _wrap(f"{statement.id}: {point.paraphrase}{_doubt(point)}", "    ")
                    for statement, point in said
                    if point is not None and point.stance != "silent"
                ),
            ]
        )

    def _known(self, statement: Statement) -> str:
        source = statement.source
        told = f"{statement.id} ({statement.date}), {source.verification}: {source.seen or source.citation}"
        return _wrap(f"{told} {source.url}".rstrip())


@dataclass(frozen=True)
class Ledger:
    """All statements by date, and the topics in the order of tables."""

    statements: tuple[Statement, ...]
    topics: tuple[Topic, ...]

    def statement(self, name: str) -> Statement:
        """The statement with this id. Raises `InputError` with the nearest match for an unknown one."""
        found = next((statement for statement in self.statements if statement.id == name), None)
        if found is None:
            known = [statement.id for statement in self.statements]
            raise unknown_name("statement", name, known, "`detente evidence list` names them.")
        return found

    def compare(self, first: str, second: str) -> Comparison:
        """Two statements by topic. Raises `InputError` for an unknown id."""
        one, two = self.statement(first), self.statement(second)
        rows = (Row(topic.id, one.point(topic.id), two.point(topic.id)) for topic in self.topics)
        return Comparison(one, two, tuple(row for row in rows if row.first or row.second))

    def since(self, day: date | str) -> tuple[Statement, ...]:
        """The statements of `day` (a date, or text as 2025-02-18) and later, oldest first.

        Raises `InputError` for a text that is no date.
        """
        start = day if isinstance(day, date) else _date(day)
        return tuple(statement for statement in self.statements if statement.date >= start)

    def bearing_on(self, measure: str) -> tuple[Statement, ...]:
        """The statements with a point that bears on a measure or package, oldest first."""
        return tuple(
            statement
            for statement in self.statements
            if any(measure in point.bears_on for point in statement.points)
        )

    def table(self, statements: Iterable[Statement] | None = None) -> str:
        """One line a statement: date, side, id, verification, occasion. Default: all."""
        chosen = self.statements if statements is None else tuple(statements)
        head = ("date", "side", "id", "source", "occasion")
        rows = [(str(s.date), s.side, s.id, s.source.verification, s.occasion) for s in chosen]
        return _columns([head, *rows])


# Files ------------------------------------------------------------------------------------------------------


@cache
def topics() -> tuple[Topic, ...]:
    """The closed list of topics."""
    content, _ = yaml_file.parse(
        (labels.DATA / "evidence_topics.yaml").read_text("utf-8"), "evidence_topics.yaml"
    )
    return tuple(Topic(entry["id"], entry["proposition"]) for entry in content["topics"])


def load_ledger(folder: str | Path | None = None) -> Ledger:
    """The ledger that ships, or that of the `.yaml` files in another folder.

    Raises `InputError`, with file and line, for a file that does not fit `data/evidence.schema.json`, an unknown
    topic, an id or topic given twice, a date that does not exist, or a silence that no text read supports.
    """
    place = SHIPPED if folder is None else Path(folder)
    files = sorted(place.glob("*.yaml"))
    if not files:
        raise InputError(f"There is no evidence in `{place}`: expected a folder with `.yaml` files.")
    found: dict[str, Statement] = {}
    for path in files:
        for statement, where in _read(path):
            if statement.id in found:
                raise InputError(
                    f"{where}: there is a statement `{statement.id}` already. Give this one another id."
                )
            found[statement.id] = statement
    return Ledger(tuple(sorted(found.values(), key=lambda statement: statement.date)), topics())


def _read(path: Path) -> list[tuple[Statement, str]]:
    """The statements of a file, each with the place of its id, for messages."""
    name = f"`{path.name}`"
    text = yaml_file.read_text(path, "evidence")
    content, tree = yaml_file.parse(text, name, "statement or point", dates_as_text=True)

    def place(keys: yaml_file.KeyPath) -> str:
        return _place(name, content, tree, keys)

    rules = yaml_file.schema(labels.DATA / "evidence.schema.json")
    yaml_file.check(content, tree, rules, place, model="a shipped statement")
    made = []
    for number, entry in enumerate(content["statements"]):
        base = ("statements", number)
        try:
            _refuse(entry)
        except _RefusedError as refusal:
            raise InputError(f"{place((*base, *refusal.keys))}: {refusal}") from None
        made.append((_statement(entry), place((*base, "id"))))
    return made


class _RefusedError(Exception):
    """What a schema cannot say, with the keys that lead to the place inside a statement."""

    def __init__(self, problem: str | InputError, *keys: str | int) -> None:
        super().__init__(str(problem))
        self.keys = keys


def _refuse(entry: dict[str, Any]) -> None:
    """Raises `_RefusedError` for the first mistake in a statement that fits the schema."""
    try:
        _date(entry["date"])
    except InputError as problem:
        raise _RefusedError(problem, "date") from None
    known = [topic.id for topic in topics()]
    verification = entry["source"]["verification"]
    seen: set[str] = set()
    for number, point in enumerate(entry["points"]):
        topic, keys = point["topic"], ("points", number)
        if topic not in known:
            raise _RefusedError(unknown_name("topic", topic, known), *keys, "topic")
        if topic in seen:
            raise _RefusedError(f"the topic `{topic}` has a point already. Join the two.", *keys, "topic")
        seen.add(topic)
        if point["stance"] != "silent":
            continue
        if verification == "unverified":
            raise _RefusedError(
                "silence can only be found in a text that was read, and the source is `unverified`. "
                "Read the text, or leave this point out.",
                *(*keys, "stance"),
            )
        if verification == "sourced" and point["confidence"] == "high":
            raise _RefusedError(
                "the text is known from reports only (`sourced`), which may leave things out. "
                "Expected `medium` or `low` for a silence.",
                *(*keys, "confidence"),
            )


def _statement(entry: dict[str, Any]) -> Statement:
    points = tuple(_point(_plain(point)) for point in entry["points"])
    texts: dict[str, Any] = {key: value for key, value in _plain(entry).items() if isinstance(value, str)}
    source = Source(**_plain(entry["source"]))
    return Statement(**texts | {"date": _date(entry["date"]), "source": source, "points": points})


def _point(entry: dict[str, Any]) -> Point:
    content: dict[str, Any] = {**entry, "bears_on": tuple(entry.get("bears_on", ()))}
    return Point(**content)


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """The same with line breaks and double spaces gone from its texts."""
    return {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in entry.items()}


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"`{text}` is no date, expected year, month and day as 2025-02-15.") from None


def _place(name: str, content: Any, tree: yaml.Node | None, keys: yaml_file.KeyPath) -> str:
    """`` `call.yaml`, line 12, statement `us-readout`, point 2, `topic` `` for a path into the content."""
    parts = [name] + ([f"line {yaml_file.line(tree, keys)}"] if tree is not None else [])
    rest = list(keys)
    if len(rest) > 1 and rest[0] == "statements":
        entry = content["statements"][rest[1]]
        label = entry.get("id") if isinstance(entry, dict) else None
        parts.append(f"statement `{label}`" if isinstance(label, str) else f"statement {int(rest[1]) + 1}")
        rest = rest[2:]
    if len(rest) > 1 and rest[0] == "points":
        parts.append(f"point {int(rest[1]) + 1}")
        rest = rest[2:]
    inside = ".".join(str(key) for key in rest if isinstance(key, str))
    return ", ".join([*parts, *([f"`{inside}`"] if inside else [])])


# Text -------------------------------------------------------------------------------------------------------


def _stance(point: Point | None) -> str:
    return "not examined" if point is None else point.stance


def _doubt(point: Point) -> str:
    return "" if point.confidence == "high" else f" ({point.confidence} confidence)"


def _wrap(text: str, indent: str = "  ") -> str:
    later = indent + "  "
    wrapper = TextWrapper(
        WIDTH, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(text)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
