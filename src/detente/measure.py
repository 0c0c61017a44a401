"""Measures: what one side does to its trade with another, and the lifting of what was done.

A measure says who acts (`by`), on whom (`on`), on which flows (`direction` seen from the sender, `sectors`) and how
(`instrument`, `size`). It becomes numbers only for a given list of countries and sectors (`cells`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.errors import InputError, unknown_name

DIRECTIONS = ("both", "imports", "exports")
INSTRUMENTS = ("cut", "ban", "tariff", "export-tax", "cost")
MEANING = {
    "cut": "the share of the flow, at unchanged prices, that the measure removes: 0.9 leaves a tenth",
    "ban": "no trade at all, exactly",
    "tariff": "ad-valorem points added to the importer's duty: 0.35 is 35 points",
    "export-tax": "ad-valorem points added to the exporter's tax: 0.1 is 10 points",
    "cost": "the rise in trade cost: 0.5 makes delivery 50 % dearer",
}

Names = str | Sequence[str]


@dataclass(frozen=True)
class Measure:
    """One measure of a scenario.

    by, on: countries or named groups (sender and target). direction: the sender's "imports" from the target, its
    "exports" to it, or "both". sectors: codes or named groups. instrument and size: see `MEANING`. in_data: for a cut, the
    part that the data year already shows; imposing multiplies the trade weight by (1 − size)/(1 − in_data), lifting by
    1/(1 − in_data). range, basis, source: how well the size is known and from where.
    Raises `InputError` for a size or direction that makes no sense.
    """

    by: Names
    on: Names
    instrument: str
    size: float | None = None
    direction: str = "both"
    sectors: Names = "all"
    in_data: float = 0.0
    range: tuple[float, float] | None = None
    basis: str = ""
    source: str = ""
    note: str = ""
    id: str = ""

    def __post_init__(self):
        if self.instrument not in INSTRUMENTS:
            raise unknown_name("instrument", self.instrument, INSTRUMENTS)
        if self.direction not in DIRECTIONS:
            raise unknown_name("direction", self.direction, DIRECTIONS)
        if self.instrument == "ban":
            if self.size is not None:
                raise InputError("A `ban` has no size: it is total. For a partial one use `instrument: cut`.")
        elif self.size is None or not np.isfinite(self.size):
            raise InputError(f"A `{self.instrument}` needs a `size`: {MEANING[self.instrument]}.")
        if self.instrument != "cut" and self.in_data:
            raise InputError("`in_data` belongs to cuts only: it is the part of the cut that the data show.")
        bounds = [("size", self.size), ("in_data", self.in_data)]
        bounds += [("range", value) for value in self.range or ()]
        for name, value in bounds:
            if self.instrument == "cut" and value is not None and not 0 <= value < 1:
                raise InputError(
                    f"`{name}` of a cut is {value:g}; expected at least 0 and below 1. For a total stop use "
                    "`instrument: ban`."
                )
        if self.instrument == "cost" and self.size is not None and self.size <= -1:
            raise InputError(f"`size` of a cost is {self.size:g}; expected above −1: 0.5 makes delivery 50 % dearer.")
        if self.instrument in ("tariff", "export-tax") and self.size is not None and self.size <= -1:
            raise InputError(f"`size` of a {self.instrument} is {self.size:g}; expected above −1 (0.1 is 10 points).")

    def cells(self, countries: Sequence[str], sectors: Sequence[str]) -> NDArray[np.bool_]:
        """Where the measure acts: a mask over [importer, exporter, sector]."""
        return cells(self.by, self.on, self.direction, self.sectors, countries, sectors)

    def __str__(self) -> str:
        sender, verb = _subject(self.by)
        target = name_list(self.on)
        goods = "everything" if _is_all(self.sectors) else name_list(self.sectors, labels.sector_name)
        flow = {
            "imports": f"what {'it buys' if verb else 'they buy'} from {target}",
            "exports": f"what {'it sells' if verb else 'they sell'} to {target}",
            "both": f"{'its' if verb else 'their'} trade with {target} in both directions",
        }[self.direction]
        s = "s" if verb else ""
        end = "es" if verb else ""
        what = {
            "cut": f"cut{s} {flow} by {_percent(self.size)}",
            "ban": f"ban{s} {flow}",
            "tariff": f"add{s} {_points(self.size)} of import duty to {flow}",
            "export-tax": f"put{s} an export tax of {_points(self.size)} on {flow}",
            "cost": f"mak{end or 'e'} {flow} {_percent(self.size)} dearer to deliver",
        }[self.instrument]
        hints = []
        if self.range:
            hints.append(f"range {_percent(self.range[0])} to {_percent(self.range[1])}")
        if self.in_data:
            hints.append(f"{_percent(self.in_data)} is already in the data year")
        if self.basis:
            hints.append(self.basis)
        return f"{sender} {what}: {goods}{' (' + '; '.join(hints) + ')' if hints else ''}."


@dataclass(frozen=True)
class Lifting:
    """The end of earlier measures in the same scenario: those of `by` (on `on`, in one direction, sector, instrument, id).

    What is not named is not restricted: `Lifting(by="USA")` ends every measure that the United States takes part in, for
    the United States alone. In the data year's part of a cut, lifting restores the trade that the cut had removed.
    """

    by: Names
    on: Names = "all"
    direction: str = "both"
    sectors: Names = "all"
    instrument: str = ""
    id: str = ""
    note: str = field(default="", compare=False)

    def __post_init__(self):
        if self.instrument and self.instrument not in INSTRUMENTS:
            raise unknown_name("instrument", self.instrument, INSTRUMENTS)
        if self.direction not in DIRECTIONS:
            raise unknown_name("direction", self.direction, DIRECTIONS)

    def meets(self, measure: Measure) -> bool:
        """Whether instrument and id allow this lifting to touch `measure`."""
        return (not self.instrument or self.instrument == measure.instrument) and (
            not self.id or self.id == measure.id
        )

    def cells(
        self, measure: Measure, countries: Sequence[str], sectors: Sequence[str]
    ) -> NDArray[np.bool_]:
        """The cells of `measure` that this lifting ends, over [importer, exporter, sector]."""
        reach = np.zeros((len(countries), len(countries), len(sectors)), bool)
        if not self.meets(measure):
            return reach
        senders = set(labels.resolve_countries(self.by, countries)) & set(
            labels.resolve_countries(measure.by, countries)
        )
        targets = set(labels.resolve_countries(self.on, countries)) & set(
            labels.resolve_countries(measure.on, countries)
        )
        goods = set(labels.resolve_sectors(self.sectors, sectors)) & set(
            labels.resolve_sectors(measure.sectors, sectors)
        )
        directions = {"imports", "exports"} if measure.direction == "both" else {measure.direction}
        directions &= {"imports", "exports"} if self.direction == "both" else {self.direction}
        if senders and targets and goods:
            for direction in directions:
                reach |= cells(list(senders), list(targets), direction, list(goods), countries, sectors)
        return reach

    def __str__(self) -> str:
        sender, singular = _subject(self.by)
        what = f"every {self.instrument}" if self.instrument else "every measure"
        if self.id:
            what = f"the measure {self.id}"
        whom = "" if _is_all(self.on) else f" on {name_list(self.on)}"
        goods = "" if _is_all(self.sectors) else f" on {name_list(self.sectors, labels.sector_name)}"
        side = "" if self.direction == "both" else f" on {'its' if singular else 'their'} {self.direction}"
        owner = "its own" if singular else "their own"
        return f"{sender} lift{'s' if singular else ''} {what} of {owner}{whom}{side}{goods}."


def cells(
    by: Names,
    on: Names,
    direction: str,
    goods: Names,
    countries: Sequence[str],
    sectors: Sequence[str],
) -> NDArray[np.bool_]:
    """Mask over [importer, exporter, sector] of the flows that senders `by` have with targets `on`.

    Raises `InputError` for unknown names and for a sender that is its own target.
    """
    senders = [countries.index(code) for code in labels.resolve_countries(by, countries)]
    targets = [countries.index(code) for code in labels.resolve_countries(on, countries)]
    both = sorted({countries[k] for k in senders} & {countries[k] for k in targets})
    if both:
        raise InputError(
            f"{labels.country_name(both[0])} ({both[0]}) is both sender and target of one measure. A measure is taken by "
            "one side on another: take it out of `by` or out of `on`."
        )
    chosen = [sectors.index(code) for code in labels.resolve_sectors(goods, sectors)]
    mask = np.zeros((len(countries), len(countries), len(sectors)), bool)
    if direction in ("imports", "both"):
        mask[np.ix_(senders, targets, chosen)] = True
    if direction in ("exports", "both"):
        mask[np.ix_(targets, senders, chosen)] = True
    return mask


def name_list(names: Names, label=labels.country_name, most: int = 4) -> str:
    """`the United States, Japan and 3 others` for codes and groups as written."""
    parts = [names] if isinstance(names, str) else list(names)
    parts = [piece.strip() for part in parts for piece in part.split(",")]
    shown = [label(part) for part in parts[:most]]
    if len(parts) > most:
        shown.append(f"{len(parts) - most} others")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _is_all(names: Names) -> bool:
    return names == "all" or list(names) == ["all"]


def _subject(by: Names) -> tuple[str, bool]:
    """The sender as a sentence begins with it, and whether its verb is singular."""
    text = name_list(by)
    one = isinstance(by, str) and "," not in by or (not isinstance(by, str) and len(by) == 1)
    return (f"The {text}" if text in _ARTICLE else text), one


_ARTICLE = {"United States", "United Kingdom", "Netherlands", "Philippines", "United Arab Emirates", "coalition"} | {
    "EU27",
    "G7",
}


def _percent(value: float | None) -> str:
    return f"{100 * (value or 0):.3g} %"


def _points(value: float | None) -> str:
    return f"{100 * (value or 0):.3g} points"
