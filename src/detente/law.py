"""A measure as law: who took it, on what basis, when, on whom, who can end it, and what it means for trade.

A `LegalMeasure` has a dated history; `state(date)` reads from it whether the measure is in force. Its readings
turn the law into the measures of a scenario (`Reading.measure`). Nothing here is read from files: that is
`catalogue`. The format is documented for lawyers in docs/measures.md.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from detente import labels
from detente.errors import InputError
from detente.measure import Measure
from detente.sizes import CENTRAL, placed
from detente.sizes import Position as Place

VERIFICATION = ("verified", "sourced", "unverified")  # best first
IN_FORCE, SUSPENDED, LAPSED, LIFTED, NOT_YET = STATES = (
    "in force",
    "suspended",
    "lapsed",
    "lifted",
    "not yet",
)

LIFT_RULES = {
    "executive-alone": "the head of state or government ends it by a signature",
    "executive-with-notice": "the executive ends it, after notice to parliament and a waiting time",
    "certification": "the executive ends it once it can certify conditions that a statute names",
    "statute": "only a new statute ends it",
    "unanimity-renewal": "all members must agree to renew it; it lapses if one of them does not",
    "qualified-majority": "a qualified majority of the members ends it",
    "ordinary-law": "no sanction but ordinary law: a bill, with all that takes",
    "minister-alone": "a minister, or the cabinet, ends it by order",
}
FAMILIES = {
    "cut": "quantity",
    "ban": "quantity",
    "tariff": "duty",
    "export-tax": "export-tax",
    "cost": "cost",
}


def weakest(tags: list[str]) -> str:
    """The least of several verification tags."""
    return max(tags, key=VERIFICATION.index)


class Event(NamedTuple):
    """Something that happened to a measure.

    event: imposed, amended, extended, suspended, waived, lapsed or lifted. applies: from when an imposition
    bites, where later than its date. until: the last day of a suspension, a waiver, or of a term that ends
    by itself.
    """

    date: datetime.date
    event: str
    verification: str
    note: str = ""
    applies: datetime.date | None = None
    until: datetime.date | None = None


class Source(NamedTuple):
    """A public citation and how far it was checked."""

    citation: str
    verification: str
    url: str = ""


class Scope(NamedTuple):
    """What the law covers. direction: the sender's imports, exports, both, finance, services or none."""

    direction: str
    sectors: tuple[str, ...]
    products: str
    entities: str = ""


class LiftRule(NamedTuple):
    """Who can end a measure, and how fast. days: shortest and longest wait from decision to effect.

    rule: see `LIFT_RULES`. notice_days: the statutory notice; months: how often unanimity is needed.
    """

    rule: str
    who: str
    days: tuple[int, int]
    verification: str
    notice_days: int | None = None
    months: int | None = None
    note: str = ""

    def __str__(self) -> str:
        low, high = self.days
        wait = f"{low}" if low == high else f"{low} to {high}"
        extra = f", every {self.months} months" if self.months else ""
        return f"{self.who}: {LIFT_RULES[self.rule]}{extra}; {wait} days"


class Renewal(NamedTuple):
    """The date by which a renewal is due."""

    date: datetime.date
    verification: str


class Part(NamedTuple):
    """What a reading is for one part of its sector, where a world has the parts; words as in `Reading`."""

    size: float
    basis: str
    range: tuple[float, float] | None = None


class Reading(NamedTuple):
    """The economic reading of a measure for one direction and some sectors, words as in a scenario's measure.

    size: what the measure and those it builds on remove of the flow in these sectors, as a whole (`cut`), or
    the points of duty; None for a ban. in_data: the part that the data year shows; None: to be worked out.
    channel: trade (the goods themselves), finance (payment and insurance) or transport. split: (code, part) for each
    part of a sector that some worlds have apart (`labels.sector_parts`); empty where the size holds for all of them.
    """

    direction: str
    sectors: tuple[str, ...]
    instrument: str
    basis: str
    size: float | None = None
    range: tuple[float, float] | None = None
    channel: str = "trade"
    in_data: float | None = None
    note: str = ""
    split: tuple[tuple[str, Part], ...] = ()

    def touches(self, code: str) -> bool:
        """Whether it can act on a sector that it names: not on a part that it says it leaves alone."""
        part = dict(self.split).get(code)
        return part is None or max(part.size, *(part.range or (0.0,))) > 0

    def sizes(self, codes: Sequence[str], cuts: Place = CENTRAL) -> list[float]:
        """Its size for each of these sectors, 1 for a ban, at a position of its ranges; a part has its own."""
        parts = dict(self.split)
        whole = 1.0 if self.instrument == "ban" else placed(self.size, self.range, cuts) or 0.0
        return [
            (placed(parts[code].size, parts[code].range, cuts) or 0.0) if code in parts else whole
            for code in codes
        ]

    @property
    def family(self) -> tuple[str, str]:
        """(channel, kind): readings of one family overlap and the largest binds; families compound."""
        return self.channel, FAMILIES[self.instrument]

    def by_part(self) -> str:
        """`By part: Crude oil 90 % (range 80 to 95 %; estimate), LNG 0 %.`; empty where it is not split."""
        told = []
        for code, part in self.split:
            span = f"range {100 * part.range[0]:g} to {100 * part.range[1]:g} %; " if part.range else ""
            known = f" ({span}{part.basis})" if part.size or part.range else ""
            told.append(f"{labels.sector_name(code)} {100 * part.size:g} %{known}")
        return f"By part: {', '.join(told)}." if told else ""

    def measure(self, by: str, on: tuple[str, ...], id: str = "") -> Measure:
        """The measure of a scenario that this reading stands for. Raises `InputError` for senseless sizes."""
        return Measure(
            by=by,
            on=list(on),
            instrument=self.instrument,
            size=self.size,
            direction=self.direction,
            sectors=list(self.sectors),
            in_data=self.in_data or 0.0,
            range=self.range,
            basis=self.basis,
            id=id,
        )


@dataclass(frozen=True)
class LegalMeasure:
    """One measure of law. sender and targets: codes or named groups; verification: of instrument and number.

    place: file and line it was read from, for messages. no_reading: why there is no economic reading.
    """

    id: str
    title: str
    sender: str
    targets: tuple[str, ...]
    instrument: str
    number: str
    verification: str
    history: tuple[Event, ...]
    scope: Scope
    legal_basis: str
    lift_rule: LiftRule
    sources: tuple[Source, ...]
    reading: tuple[Reading, ...] = ()
    package: int | None = None
    renewal: Renewal | None = None
    no_reading: str = ""
    place: str = ""

    @property
    def adopted(self) -> datetime.date:
        """The day it was first imposed."""
        return self.history[0].date

    def state(self, on: datetime.date | str) -> str:
        """One of `STATES` on that day (a date, or a text as "2025-02-17").

        "not yet": not adopted, or adopted and not yet applicable. A waiver leaves a measure in force. A passed
        renewal date alone ends nothing here: the catalogue records what happened, `check` reports what it
        does not know.
        """
        day, now, last = as_date(on), NOT_YET, None
        for event in self.history:
            if event.date > day:
                break
            if event.event == "imposed":
                now = IN_FORCE if (event.applies or event.date) <= day else NOT_YET
                last = event.until
            elif event.event == "extended":
                now, last = IN_FORCE if now == LAPSED else now, event.until
            elif event.event == "suspended":
                now = SUSPENDED if event.until is None or day <= event.until else now
            elif event.event in (LAPSED, LIFTED):
                now = event.event
        expired = last is not None and day > last and now in (IN_FORCE, SUSPENDED)
        return LAPSED if expired else now

    def waivers(self, on: datetime.date | str) -> list[Event]:
        """The waivers that run on that day; one without an end runs until the measure ends."""
        day = as_date(on)
        running = [event for event in self.history if event.event == "waived" and event.date <= day]
        return [event for event in running if event.until is None or day <= event.until]

    def measures(self) -> list[Measure]:
        """Its readings as measures of a scenario."""
        return [reading.measure(self.sender, self.targets, self.id) for reading in self.reading]

    def sentences(self) -> list[str]:
        """Its readings in words, each with its sizes by part where it has them."""
        pairs = zip(self.measures(), self.reading, strict=True)
        return [text for measure, reading in pairs for text in (str(measure), reading.by_part()) if text]

    @property
    def known(self) -> str:
        """The weakest verification among number, day of adoption and lift rule."""
        return weakest([self.verification, self.history[0].verification, self.lift_rule.verification])

    def __str__(self) -> str:
        return f"{self.id}: {self.title} ({self.number}, {self.adopted})"


def as_date(day: datetime.date | str) -> datetime.date:
    """A date from a date or a text written year-month-day. Raises `InputError`."""
    if isinstance(day, datetime.date):
        return day
    try:
        return datetime.date.fromisoformat(day)
    except (TypeError, ValueError):
        raise InputError(
            f"`{day}` is not a date. Write year-month-day, with a day that exists, as 2025-02-17."
        ) from None


def check_history(history: tuple[Event, ...]) -> None:
    """Raises `InputError` for events out of order, before the imposition, after the end, or against each other."""
    over: str = ""
    for before, event in zip((None, *history), history, strict=False):
        if before is None and event.event != "imposed":
            raise InputError(f"the history begins with `{event.event}`. Begin with `imposed`.")
        if before and event.date < before.date:
            raise InputError(
                f"`{event.event}` on {event.date} stands after {before.date}. Put events in order of their dates."
            )
        if before and event.event == "imposed" and not over:
            raise InputError(
                f"it is `imposed` on {event.date} while in force. Write `amended` or `extended`, or enter its end."
            )
        if over and event.event not in ("imposed", "extended"):
            raise InputError(
                f"`{event.event}` on {event.date} comes after it was {over}. Enter it before that."
            )
        _check_span(event)
        over = event.event if event.event in (LAPSED, LIFTED) else ""


def _check_span(event: Event) -> None:
    """Raises `InputError` unless `applies` and `until` fit the event and come after its date."""
    fits = {"applies": ("imposed", "amended"), "until": ("imposed", "extended", "suspended", "waived")}
    for key, value in (("applies", event.applies), ("until", event.until)):
        if value is not None and event.event not in fits[key]:
            raise InputError(f"`{key}` does not go with `{event.event}`, only with {', '.join(fits[key])}.")
        if value is not None and value < event.date:
            raise InputError(
                f"`{key}` is {value}, before the date of the event, {event.date}. Swap or mend them."
            )
