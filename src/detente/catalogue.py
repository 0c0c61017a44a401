"""The catalogue of measures: files of dated, cited law, read, checked and searchable.

One YAML file a sender, in `detente/data/measures`; the form is `data/measure.schema.json`, documented in
docs/measures.md. What does not say its date, source, legal basis and lift rule does not load.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from detente import labels, yaml_file
from detente.errors import InputError, unknown_name
from detente.law import (
    IN_FORCE,
    LIFT_RULES,
    Event,
    LegalMeasure,
    LiftRule,
    Part,
    Reading,
    Renewal,
    Scope,
    Source,
    as_date,
    check_history,
)

SHIPPED = labels.DATA / "measures"
STALE = timedelta(days=183)


class Finding(NamedTuple):
    """One thing the catalogue does not know well. kind: unverified, renewal, url, stale or waiver."""

    measure: str
    kind: str
    text: str


class Overdue(NamedTuple):
    """Measures of one sender whose renewal was due on the same day and is not entered.

    kept: the day up to which the sender's file is kept; a date after it lies outside what the file can know.
    """

    sender: str
    due: date
    kept: date
    measures: tuple[str, ...]

    @property
    def why(self) -> str:
        """Why nothing is entered: the file was not kept so far, or it was and holds no act."""
        if self.due > self.kept:
            return f"due after {self.kept}, up to which the file is kept"
        return f"the file is kept up to {self.kept} and names no act that renews or ends them"


@dataclass(frozen=True)
class Catalogue:
    """Measures, in the order of files and entries. as_of: {sender: date up to which its file is kept}."""

    measures: tuple[LegalMeasure, ...]
    as_of: Mapping[str, date]

    def __len__(self) -> int:
        return len(self.measures)

    def __iter__(self) -> Iterator[LegalMeasure]:
        return iter(self.measures)

    def __getitem__(self, id: str) -> LegalMeasure:
        """The measure of that id. Raises `InputError`, nearest match offered."""
        for measure in self.measures:
            if measure.id == id:
                return measure
        raise unknown_name("measure", id, [measure.id for measure in self.measures])

    def _only(self, measures: Iterable[LegalMeasure]) -> "Catalogue":
        return Catalogue(tuple(measures), self.as_of)

    def on(self, day: date | str, state: str = IN_FORCE) -> "Catalogue":
        """What is in force on that day, or in another of `law.STATES`."""
        when = as_date(day)
        return self._only(measure for measure in self if measure.state(when) == state)

    def by(self, sender: str | Sequence[str]) -> "Catalogue":
        """What these countries or groups impose; `EU` means EU27, a member state what its union imposes."""
        names = [sender] if isinstance(sender, str) else list(sender)
        codes = _countries(tuple("EU27" if name.upper() == "EU" else name for name in names))
        return self._only(measure for measure in self if codes & _countries((measure.sender,)))

    def lifted_by(self, *rules: str) -> "Catalogue":
        """What falls under these lift rules. Raises `InputError` for a rule that does not exist."""
        for rule in rules:
            if rule not in LIFT_RULES:
                raise unknown_name("lift rule", rule, LIFT_RULES)
        return self._only(measure for measure in self if measure.lift_rule.rule in rules)

    def package(self, number: int) -> "Catalogue":
        """The measures of that package."""
        return self._only(measure for measure in self if measure.package == number)

    def counts(self) -> dict[str, Counter[str]]:
        """How many measures of each sender are verified, sourced or unverified (weakest fact of each)."""
        table: dict[str, Counter[str]] = {}
        for measure in self:
            table.setdefault(measure.sender, Counter())[measure.known] += 1
        return table

    def check(self, today: date | str | None = None) -> list[Finding]:
        """What is unverified, overdue, without an address, or out of date on that day (default: today)."""
        day = date.today() if today is None else as_date(today)
        return [finding for measure in self for finding in _findings(measure, day, self.as_of)]

    def overdue(self, today: date | str | None = None) -> list[Overdue]:
        """Renewals that were due before that day (default: today) and are not entered, by sender and date."""
        day = date.today() if today is None else as_date(today)
        groups: dict[tuple[str, date], list[str]] = {}
        for measure in self:
            due = _missed(measure, day)
            if due:
                groups.setdefault((measure.sender, due), []).append(measure.id)
        return [
            Overdue(sender, due, self.as_of[sender], tuple(ids))
            for (sender, due), ids in sorted(groups.items(), key=lambda group: (group[0][0], group[0][1]))
        ]

    def __repr__(self) -> str:
        senders = Counter(measure.sender for measure in self)
        return f"<Catalogue: {len(self)} measures; " + ", ".join(f"{k} {v}" for k, v in senders.items()) + ">"


def load_catalogue(folder: str | Path | None = None) -> Catalogue:
    """The shipped catalogue, or that of a folder of the user's own.

    Raises `InputError` for the first file that does not fit: the message gives file, line, measure and mend.
    """
    return _load(SHIPPED if folder is None else Path(folder))


def _load(folder: Path) -> Catalogue:
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InputError(f"There are no measure files (*.yaml) in `{folder}`.")
    measures: dict[str, LegalMeasure] = {}
    as_of: dict[str, date] = {}
    for path in files:
        file = _File(path)
        for measure in file.measures():
            if measure.id in measures:
                other = measures[measure.id].place
                raise InputError(f"{measure.place}: the id stands at {other} already. Give one a new id.")
            measures[measure.id] = measure
        as_of[file.content["sender"]] = file.date(("as_of",))
    return Catalogue(tuple(measures.values()), as_of)


# Quality ----------------------------------------------------------------------------------------------------


def _findings(measure: LegalMeasure, day: date, as_of: Mapping[str, date]) -> Iterator[Finding]:
    """What the catalogue does not know well about one measure."""
    unsure = [
        *(["instrument and number"] if measure.verification == "unverified" else []),
        *(f"{e.event} {e.date}" for e in measure.history if e.verification == "unverified"),
        *(["lift rule"] if measure.lift_rule.verification == "unverified" else []),
    ]
    if unsure:
        yield Finding(measure.id, "unverified", "from memory: " + ", ".join(unsure))
    if not any(source.url for source in measure.sources):
        yield Finding(measure.id, "url", "no source has an address")
    if measure.state(day) != IN_FORCE:
        return
    due = _missed(measure, day)
    if due:
        told = Overdue(measure.sender, due, as_of.get(measure.sender, due), (measure.id,)).why
        yield Finding(measure.id, "renewal", f"renewal was due on {due}; {told}")
    ended = [e for e in measure.history if e.event == "waived" and e.until and e.until < day]
    if ended and ended[-1] == measure.history[-1]:
        yield Finding(
            measure.id, "waiver", f"the last waiver ended on {ended[-1].until}; no later one is entered"
        )
    kept = as_of.get(measure.sender)
    if kept and day - kept > STALE:
        yield Finding(measure.id, "stale", f"the file is kept up to {kept} only")


def _missed(measure: LegalMeasure, day: date) -> date | None:
    """The date of a renewal that was due before that day and is not entered, of a measure in force."""
    due = measure.renewal
    return due.date if due and due.date < day and measure.state(day) == IN_FORCE else None


# Files ------------------------------------------------------------------------------------------------------


@cache
def _countries(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(labels.resolve_countries(list(names), list(labels.countries())))


@cache
def _check_sectors(names: tuple[str, ...]) -> None:
    if names:
        labels.resolve_sectors(list(names), list(labels.sectors()))


class _File:
    """One file: its plain content, and places in it for messages."""

    def __init__(self, path: Path):
        self.name = f"`{path.name}`"
        text = yaml_file.read_text(path, "measure")
        self.content, self.tree = yaml_file.parse(text, self.name, "measure", dates_as_text=True)
        rules = yaml_file.schema(labels.DATA / "measure.schema.json")
        yaml_file.check(self.content, self.tree, rules, self.place, model="a shipped measure")
        self._refuse(("sender",), lambda: _countries((self.content["sender"],)))

    def place(self, path: Sequence[str | int]) -> str:
        """`` `eu.yaml`, line 12, measure `eu-2022-879-oil`, `history.date` `` for a path into the content."""
        return f"{self.name}, line {yaml_file.line(self.tree, path)}{self._inside(list(path))}"

    def _inside(self, keys: list[str | int]) -> str:
        measure = ""
        if len(keys) > 1 and keys[0] == "measures":
            entry = self.content["measures"][keys[1]]
            known = isinstance(entry, dict) and isinstance(entry.get("id"), str)
            measure = f", measure `{entry['id']}`" if known else f", measure {int(keys[1]) + 1}"
            keys = keys[2:]
        inside = ".".join(str(key) for key in keys if not isinstance(key, int))
        return measure + (f", `{inside}`" if inside else "")

    def _refuse(self, path: Sequence[str | int], act: Any) -> Any:
        """What `act` returns; an `InputError` in it gets the place of `path`."""
        try:
            return act()
        except InputError as problem:
            raise InputError(f"{self.place(path)}: {problem}") from None

    def date(self, path: Sequence[str | int]) -> date:
        """The date at `path`. Raises `InputError` with its place."""
        value: Any = self.content
        for key in path:
            value = value[key]
        return self._refuse(path, lambda: as_date(value))

    def measures(self) -> Iterator[LegalMeasure]:
        """The measures of the file, each checked. Raises `InputError`."""
        for k, entry in enumerate(self.content["measures"]):
            yield self._measure(("measures", k), entry)

    def _measure(self, at: tuple[str | int, ...], entry: dict[str, Any]) -> LegalMeasure:
        history = tuple(self._event((*at, "history", k), e) for k, e in enumerate(entry["history"]))
        self._refuse((*at, "history"), lambda: check_history(history))
        scope = {**entry["scope"], "sectors": tuple(entry["scope"]["sectors"])}
        self._refuse((*at, "scope", "sectors"), lambda: _check_sectors(scope["sectors"]))
        targets = tuple(entry["targets"])
        self._refuse((*at, "targets"), lambda: _countries(targets))
        renewal = None
        if "renewal" in entry:
            renewal = Renewal(self.date((*at, "renewal", "date")), entry["renewal"]["verification"])
        reading = tuple(
            self._reading((*at, "reading", k), r, targets) for k, r in enumerate(entry["reading"])
        )
        self._refuse((*at, "reading"), lambda: _check_reading(reading, entry.get("no_reading", "")))
        plain = (
            "id",
            "title",
            "instrument",
            "number",
            "verification",
            "legal_basis",
            "package",
            "no_reading",
        )
        return LegalMeasure(
            **{key: entry[key] for key in plain if key in entry},
            sender=self.content["sender"],
            targets=targets,
            history=history,
            scope=Scope(**scope),
            lift_rule=self._lift_rule((*at, "lift_rule"), entry["lift_rule"]),
            sources=tuple(Source(**source) for source in entry["sources"]),
            reading=reading,
            renewal=renewal,
            place=self.place(at),
        )

    def _event(self, at: tuple[str | int, ...], entry: dict[str, Any]) -> Event:
        days = {key: self.date((*at, key)) for key in ("date", "applies", "until") if key in entry}
        return Event(**{**entry, **days})

    def _lift_rule(self, at: tuple[str | int, ...], entry: dict[str, Any]) -> LiftRule:
        rule = LiftRule(**{**entry, "days": tuple(entry["days"])})
        self._refuse(at, lambda: _check_lift_rule(rule))
        return rule

    def _reading(self, at: tuple[str | int, ...], entry: dict[str, Any], targets: tuple[str, ...]) -> Reading:
        span = {"range": tuple(entry["range"])} if "range" in entry else {}
        reading = Reading(**{**entry, "sectors": tuple(entry["sectors"]), **span, **_split(entry)})
        self._refuse((*at, "sectors"), lambda: _check_sectors(reading.sectors))
        self._refuse(at, lambda: reading.measure(self.content["sender"], targets))
        self._refuse(at, lambda: _check_inside(reading))
        self._refuse((*at, "split"), lambda: _check_split(reading, self.content["sender"], targets))
        return reading


def _check_lift_rule(rule: LiftRule) -> None:
    """Raises `InputError` for reversed days and for parameters that the rule lacks or does not have."""
    if rule.days[0] > rule.days[1]:
        raise InputError(f"`days` is {list(rule.days)}; expected two numbers, the smaller one first.")
    for key, of in (("notice_days", "executive-with-notice"), ("months", "unanimity-renewal")):
        if (getattr(rule, key) is None) == (rule.rule == of):
            verb = "needs" if rule.rule == of else "does not go with"
            raise InputError(f"`{rule.rule}` {verb} the key `{key}`; it belongs to `{of}`.")


def _check_reading(reading: tuple[Reading, ...], reason: str) -> None:
    """Raises `InputError` unless there is a reading, or a reason for having none."""
    if not reading and not reason:
        raise InputError("the reading is empty. Say why in the key `no_reading`, or enter one.")
    if reading and reason:
        raise InputError("there is a reading and a `no_reading`. Remove one of them.")


def _split(entry: Mapping[str, Any]) -> dict[str, tuple[tuple[str, Part], ...]]:
    """The key `split` of a reading as its parts; nothing where there is none."""
    parts = entry.get("split", {})
    span = {code: {"range": tuple(part["range"])} if "range" in part else {} for code, part in parts.items()}
    return {"split": tuple((code, Part(**{**part, **span[code]})) for code, part in parts.items())}


def _check_split(reading: Reading, sender: str, targets: tuple[str, ...]) -> None:
    """Raises `InputError` unless a split names all parts of sectors of the reading, each with a size it can have."""
    if not reading.split:
        return
    if reading.instrument == "ban" or reading.in_data is not None:
        given = "a `ban`" if reading.instrument == "ban" else "`in_data`"
        raise InputError(f"`split` does not go with {given}. Leave one of them out.")
    meant = labels.resolve_sectors(list(reading.sectors), list(labels.sectors()))
    wholes = {whole: parts for whole, parts in labels.sector_parts().items() if whole in meant}
    known = [part for parts in wholes.values() for part in parts]
    for code, part in reading.split:
        if code not in known:
            raise unknown_name("part of these sectors", code, known, "Only a sector with parts can be split.")
        own = reading._replace(size=part.size, range=part.range, split=())
        try:
            own.measure(sender, targets)
            _check_inside(own)
        except InputError as problem:
            raise InputError(f"{code}: {problem}") from None
    missing = [part for part in known if part not in dict(reading.split)]
    if missing:
        raise InputError(
            f"`split` lacks {', '.join(missing)}. Give each part a size, 0 where it is left alone."
        )


def _check_inside(reading: Reading) -> None:
    """Raises `InputError` for a size outside its own range."""
    if (
        reading.size is not None
        and reading.range
        and not reading.range[0] <= reading.size <= reading.range[1]
    ):
        raise InputError(
            f"`size` {reading.size:g} lies outside its `range` {list(reading.range)}. Mend one of them."
        )
