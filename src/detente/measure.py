"""Measures: what one side does to its trade with another, and the lifting of what was done.

A measure says who acts (`by`), on whom (`on`), on which flows (`direction` seen from the sender, `sectors`)
and how (`instrument`, `size`). It becomes numbers only for a given list of countries and sectors (`cells`);
printed, it is one sentence.
"""

import datetime
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.errors import InputError, unknown_name

MEANING = {
    "cut": "the share of the flow, at unchanged prices, that the measure removes: 0.9 leaves a tenth",
    "ban": "no trade at all, exactly",
    "tariff": "points added to the sender's import duty, ad valorem: 0.35 is 35 points",
    "export-tax": "points added to the sender's export tax, ad valorem: 0.1 is 10 points",
    "cost": "the rise in trade cost: 0.5 makes delivery 50 % dearer",
}
INSTRUMENTS = tuple(MEANING)
RULES = {  # instruments with figures of their own, `detente.menu`
    "price-cap": "price caps",
    "quota": "quotas",
    "services-ban": "bans on services",
    "producers": "rules of producers",
}
DIRECTIONS = ("imports", "exports", "both")
ONE_WAY = {"tariff": "imports", "export-tax": "exports"}  # what a country can levy at its own border

AUTHORITIES = {  # the lift rules of `detente.law`, as a sentence has them after "measures that"
    "executive-alone": "the executive alone can end",
    "executive-with-notice": "the executive can end after notice to parliament",
    "certification": "the executive can end once it certifies what a statute asks",
    "statute": "only a new statute ends",
    "unanimity-renewal": "lapse unless all members renew them",
    "qualified-majority": "a qualified majority can end",
    "ordinary-law": "are ordinary law",
    "minister-alone": "a minister alone can end",
}

Names = str | Sequence[str]


@dataclass(frozen=True)
class Measure:
    """One measure of a scenario.

    by, on: countries or named groups, sender and target; `all` on one side means everyone not on the other.
    instrument, size: see `MEANING`. sectors: codes or named groups.
    direction: the sender's "imports" from the target, its "exports" to it, or "both"; left out it is "both",
    but "imports" for a tariff and "exports" for an export tax.
    in_data: for a cut, the part that the data year already shows; imposing multiplies the trade weight by
    (1 − size)/(1 − in_data), lifting by 1/(1 − in_data).
    range, basis, source: how well the size is known and from where. place: where it was read, for messages.
    Raises `InputError` for a size, direction or name that makes no sense.
    """

    by: Names
    on: Names
    instrument: str
    size: float | None = None
    direction: str = ""
    sectors: Names = "all"
    in_data: float = 0.0
    range: tuple[float, float] | None = None
    basis: str = ""
    source: str = ""
    note: str = ""
    id: str = ""
    place: str = field(default="", compare=False, repr=False)

    def __post_init__(self):
        if self.instrument in RULES:
            raise InputError(
                f"`{self.instrument}` has figures of its own: in Python use its class in `detente.menu`."
            )
        _refuse_unknown("instrument", self.instrument, INSTRUMENTS)
        border = ONE_WAY.get(self.instrument)
        if not self.direction:
            object.__setattr__(self, "direction", border or "both")
        _refuse_unknown("direction", self.direction, DIRECTIONS)
        if border and self.direction != border:
            raise InputError(
                f"`direction` is `{self.direction}`, but {self.instrument} is what a country levies on its "
                f"own {border}. Leave `direction` out; what the target levies is a second measure, `by` it."
            )
        for key in ("by", "on", "sectors"):
            _refuse_unless_names(key, getattr(self, key))
        _check_size(self)

    def sides(self, countries: Sequence[str]) -> tuple[list[str], list[str]]:
        """Codes of senders and targets. Raises `InputError` for unknown names or a country on both sides."""
        senders = labels.resolve_countries(self.by, countries)
        targets = labels.resolve_countries(self.on, countries)
        if is_all(self.on):
            targets = [code for code in targets if code not in senders]
        elif is_all(self.by):
            senders = [code for code in senders if code not in targets]
        both = [code for code in senders if code in targets]
        if both:
            raise InputError(
                f"{labels.country_name(both[0])} is both sender and target. A measure is taken by one side "
                f"on another: take `{both[0]}` out of `by` or out of `on`."
            )
        if not (senders and targets):
            raise InputError(
                "`by` and `on` both mean everyone, so nobody is left for the other side. Name one of them."
            )
        return senders, targets

    def cells(self, countries: Sequence[str], sectors: Sequence[str]) -> NDArray[np.bool_]:
        """Where the measure acts: a mask over [importer, exporter, sector]."""
        goods = labels.resolve_sectors(self.sectors, sectors)
        return _mask(*self.sides(countries), self.direction, goods, countries, sectors)

    def __str__(self) -> str:
        who, singular = subject(self.by)
        flow = _flow(self.direction, self.sectors, joined(self.on, _country))
        s, its = ("s", "its") if singular else ("", "their")
        size = self.size or 0.0
        change = percent(abs(size))
        points = f"{change} percentage point{'' if change == '1' else 's'}"
        to_duty, off_duty = f"add{s} {points} to {its}", f"take{s} {points} off {its}"
        clause = {
            "cut": f"cut{s} {its} {flow} by {change} %",
            "ban": f"ban{s} {'all ' if is_all(self.sectors) else ''}{flow}",
            "tariff": f"{off_duty if size < 0 else to_duty} duty on {flow}",
            "export-tax": f"{off_duty if size < 0 else to_duty} tax on {flow}",
            "cost": f"{'lower' if size < 0 else 'raise'}{s} the cost of {its} {flow} by {change} %",
        }[self.instrument]
        return f"{who} {clause}{self._hints()}."

    def _hints(self) -> str:
        """What is known about the size, in brackets."""
        unit = "points" if self.instrument in ONE_WAY else "%"
        hints = []
        if self.range:
            hints.append(f"range {percent(self.range[0])} to {percent(self.range[1])} {unit}")
        if self.in_data:
            hints.append(f"{percent(self.in_data)} % is already in the data year")
        if self.basis:
            hints.append(self.basis)
        return f" ({'; '.join(hints)})" if hints else ""


@dataclass(frozen=True)
class Lifting:
    """The end of earlier measures of the same scenario: those of `by`, as far as the other keys name them.

    What is not named is not restricted: `Lifting(by="USA")` ends every measure that the United States takes
    part in, for the United States alone. What the data year shows of a cut is given back too.
    authority (lift rules, see `AUTHORITIES`) and package name measures of law only.
    """

    by: Names
    on: Names = "all"
    direction: str = "both"
    sectors: Names = "all"
    instrument: str = ""
    id: str = ""
    note: str = ""
    authority: Names = ()
    package: int | None = None
    place: str = field(default="", compare=False, repr=False)

    def __post_init__(self):
        for rule in self.rules():
            _refuse_unknown("authority", rule, list(AUTHORITIES))
        if self.package is not None and not isinstance(self.package, int):
            raise InputError(f"`package` is {self.package!r}; expected a whole number, as 6.")
        if self.instrument:
            _refuse_unknown("instrument", self.instrument, [*INSTRUMENTS, *RULES])
        _refuse_unknown("direction", self.direction, DIRECTIONS)
        for key in ("by", "on", "sectors"):
            _refuse_unless_names(key, getattr(self, key))

    def rules(self) -> list[str]:
        """The lift rules that `authority` names, all where it is empty."""
        return _parts(self.authority)

    def cells(self, measure: Measure, countries: Sequence[str], sectors: Sequence[str]) -> NDArray[np.bool_]:
        """The cells of `measure` that this lifting ends, over [importer, exporter, sector].

        Raises `InputError` for unknown names.
        """
        by, on = (labels.resolve_countries(names, countries) for names in (self.by, self.on))
        goods = labels.resolve_sectors(self.sectors, sectors)
        senders, targets = measure.sides(countries)
        reach = _mask(
            [code for code in senders if code in by],
            [code for code in targets if code in on],
            self.direction,
            goods,
            countries,
            sectors,
        )
        named = self.instrument in ("", measure.instrument) and self.id in ("", measure.id)
        named = named and not self.rules() and self.package is None
        return reach & measure.cells(countries, sectors) & named

    def __str__(self) -> str:
        return self.sentence("lift")

    def sentence(self, verb: str, end: str = "") -> str:
        """`The United States lifts all its measures on Russia that the executive alone can end.`"""
        who, singular = subject(self.by)
        s, its = ("s", "its") if singular else ("", "their")
        what = (
            f"{its} part of the measure `{self.id}`" if self.id else f"all {its} {_PLURAL[self.instrument]}"
        )
        if self.package is not None:
            what += f" of package {self.package}"
        direction = ONE_WAY.get(self.instrument, self.direction)
        target = "" if is_all(self.on) else joined(self.on, _country)
        if self.instrument or direction != "both" or not is_all(self.sectors):
            scope = f" on {_flow(direction, self.sectors, target)}"
        else:
            scope = f" on {target}" if target else ""
        rules = " or that ".join(AUTHORITIES[rule] for rule in self.rules())
        ending = f" that {rules}" if rules else ""
        return f"{who} {verb}{s} {what}{scope}{ending}{end}."


def named(sender: str) -> str:
    """A country or group as a sentence has it: `the United States`."""
    return _country(sender)


def in_short(direction: str, sectors: Names, size: float) -> str:
    """`imports of coal by 98 %`."""
    return f"{_flow(direction, sectors, '')} by {percent(size)} %"


def spoken(day: datetime.date | str) -> str:
    """`17 February 2025`."""
    return f"{day.day} {day:%B %Y}" if isinstance(day, datetime.date) else day


def _mask(
    senders: Sequence[str],
    targets: Sequence[str],
    direction: str,
    goods: Sequence[str],
    countries: Sequence[str],
    sectors: Sequence[str],
) -> NDArray[np.bool_]:
    """Mask over [importer, exporter, sector] of the flows that senders have with targets; all are codes."""
    s, t = ([countries.index(code) for code in side] for side in (senders, targets))
    j = [sectors.index(code) for code in goods]
    mask = np.zeros((len(countries), len(countries), len(sectors)), bool)
    if direction != "exports":
        mask[np.ix_(s, t, j)] = True
    if direction != "imports":
        mask[np.ix_(t, s, j)] = True
    return mask


# Checks -----------------------------------------------------------------------------------------------------


def _refuse_unknown(key: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise unknown_name(key, value, known)


def _refuse_unless_names(key: str, names: Any) -> None:
    given = [names] if isinstance(names, str) else names
    if not isinstance(given, Iterable) or not all(isinstance(name, str) for name in given):
        raise InputError(
            f"`{key}` is {names!r}; expected a code, a group's name, or a list of these, as text."
        )


def _check_size(measure: Measure) -> None:
    """Raises `InputError` unless size, in_data and range are numbers that the instrument can have."""
    kind = measure.instrument
    if kind == "ban":
        if measure.size is not None or measure.range is not None:
            raise InputError("A `ban` has no `size`: it is total. For a partial one use `instrument: cut`.")
    elif measure.size is None:
        raise InputError(f"A `{kind}` needs a `size`: {MEANING[kind]}.")
    if kind != "cut" and measure.in_data:
        raise InputError("`in_data` belongs to cuts only: it is the part of the cut that the data show.")
    span = () if measure.range is None else measure.range
    if not isinstance(span, Sequence) or len(span) not in (0, 2):
        raise InputError(f"`range` is {span}; expected two numbers, the smaller one first.")
    for key, value in [
        ("size", measure.size),
        ("in_data", measure.in_data),
        *(("range", end) for end in span),
    ]:
        if not (kind == "ban" and key == "size"):
            _refuse_outside(key, value, kind)
    if span and span[0] > span[1]:
        raise InputError(f"`range` is {list(span)}; expected two numbers, the smaller one first.")


def _refuse_outside(key: str, value: Any, kind: str) -> None:
    if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"`{key}` of a {kind} is {value}; expected a number. {MEANING[kind].capitalize()}.")
    if kind == "cut" and not 0 <= value < 1:
        raise InputError(
            f"`{key}` of a cut is {value:g}; expected at least 0 and below 1, as 0.9 for 90 %. "
            "For a total stop use `instrument: ban`."
        )
    if kind != "cut" and value <= -1:
        raise InputError(f"`{key}` of a {kind} is {value:g}; expected above −1, as 0.1 for 10 %.")


# Sentences --------------------------------------------------------------------------------------------------

_PLURAL = {
    "": "measures",
    "cut": "cuts",
    "ban": "bans",
    "tariff": "tariffs",
    "export-tax": "export taxes",
    "cost": "added costs",
    **RULES,
}
_FLOW = {
    "imports": ("imports", "of", "from"),
    "exports": ("exports", "of", "to"),
    "both": ("trade", "in", "with"),
}
_COUNTRY_GROUPS = {
    "all": "all other countries",
    "eu27": "the EU27",
    "g7": "the G7",
    "eea": "the EEA",
    "coalition": "the coalition",
    "west-33": "the West of 33 countries",
    "brics": "the BRICS countries",
    "opec-plus": "the OPEC+ countries",
    "hubs": "the re-export hubs",
    "transit-hubs": "the transit hubs",
    "bystanders": "the bystanders",
}
_MANY = {"all", "brics", "opec-plus", "hubs", "transit-hubs", "bystanders", "xco", "xrw"}
_ARTICLE = ("United ", "Netherlands", "Philippines", "DR Congo")
_SECTOR_GROUPS = {
    "agri-food": "farm products and food",
    "mining": "mining products",
    "manufacturing": "manufactures",
    "fossil-fuels": "fossil fuels",
    "oil-gas": "crude oil and gas",
    "refined-oil": "refined oil",
    "oil": "crude and refined oil",
    "crude": "crude oil",
    "gas": "natural gas",
    "high-tech": "high-tech goods",
    "transport": "transport services",
    "finance": "financial services",
    "business-services": "business services",
    "g": "wholesale and retail services",
}


def _country(name: str) -> str:
    """A country or group as a sentence has it: `the United States`, `the EU27`; an unknown code stays."""
    if name.casefold() in _COUNTRY_GROUPS:
        return _COUNTRY_GROUPS[name.casefold()]
    code = name.upper()
    text = labels.country_name(code) if code in labels.countries() else name
    if code in ("XCO", "XRW"):
        return f"{text[0].lower()}{text[1:]}"
    return f"the {text}" if text.startswith(_ARTICLE) else text


def sector_phrase(name: str) -> str:
    """A sector or group as a sentence has it: `crude oil and gas`, `IT services`; an unknown code stays."""
    if name.casefold() in _SECTOR_GROUPS:
        return _SECTOR_GROUPS[name.casefold()]
    code = name.upper()
    if code not in labels.sectors():
        return name
    text = labels.sector_name(code)
    return text if text[1].isupper() else f"{text[0].lower()}{text[1:]}"


def _parts(names: Names) -> list[str]:
    """The single names in `names`."""
    entries = [names] if isinstance(names, str) else names
    return [part.strip() for entry in entries for part in entry.split(",") if part.strip()]


def is_all(names: Names) -> bool:
    """Whether the names are the word `all`."""
    return [name.casefold() for name in _parts(names)] == [labels.EVERYTHING]


def joined(names: Names, phrase: Callable[[str], str], most: int = 5) -> str:
    """`the United States, Japan and 7 others` for codes and groups as written."""
    parts = [phrase(name) for name in _parts(names)]
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} others"]
    if len(parts) < 2:
        return "".join(parts)
    comma = "," if any(" and " in part for part in parts) else ""
    return f"{', '.join(parts[:-1])}{comma} and {parts[-1]}"


def subject(by: Names) -> tuple[str, bool]:
    """The sender as a sentence begins with it, and whether its verb is singular."""
    text, names = joined(by, _country), _parts(by)
    return f"{text[:1].upper()}{text[1:]}", len(names) == 1 and names[0].casefold() not in _MANY


def _flow(direction: str, sectors: Names, partner: str) -> str:
    """`imports of goods from Russia`, `trade with Russia`, `exports of steel`."""
    noun, of, preposition = _FLOW[direction]
    what = "" if is_all(sectors) else f" {of} {joined(sectors, sector_phrase)}"
    return f"{noun}{what}{f' {preposition} {partner}' if partner else ''}"


def percent(share: float) -> str:
    """A share as a percentage without the sign, six digits at most: 0.57 is `57`, 0.9999 is `99.99`."""
    return f"{100 * share:.6g}".replace("-", "−")
