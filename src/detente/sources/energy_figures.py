"""The file of public energy figures, `detente/data/energy_2022.csv`: read, checked, and asked for values.

One row a figure, in the unit that the source uses; `value` turns quantities into USD million. A figure that cannot
be is refused with its line: LNG without a terminal, pipeline gas without a pipe, a value outside its own range.
"""

import csv
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from detente import labels
from detente.errors import InputError, unknown_name

WHOLE = "B06"
OIL, PIPE, LNG = FUELS = ("B06O", "B06P", "B06L")
COLUMNS = ("record", "from", "to", "fuel", "value", "unit", "low", "high", "verification", "source")
QUANTITY = {OIL: "Mt", PIPE: "bcm", LNG: "Mt"}
PRICE = {OIL: "USD/bbl", PIPE: "USD/MMBtu", LNG: "USD/MMBtu"}
CONTENT = {OIL: "bbl/t", PIPE: "MMBtu/thousand m3", LNG: "MMBtu/t"}
ABILITIES = ("pipeline", "liquefaction", "regasification")
SHARES = ("use", "liquefaction-use")
UNITS = {"price": PRICE, "conversion": CONTENT} | dict.fromkeys(("production", "exports", "flow"), QUANTITY)
RECORDS = (*UNITS, *ABILITIES, *SHARES)
ENDS = {  # which of `from` and `to` a record names: 1 must, 0 must not, None may
    "conversion": (0, 0),
    "price": (None, None),
    "production": (1, 0),
    "exports": (1, 0),
    "flow": (1, 1),
    "pipeline": (1, 1),
    "liquefaction": (1, 0),
    "regasification": (0, 1),
    "use": (0, 1),
    "liquefaction-use": (0, 0),
}
VERIFICATIONS = ("verified", "sourced", "unverified")
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Figure:
    """One row: what it records, of which exporter, importer (in `use`: the user) and fuel, how much, and its range."""

    record: str
    origin: str
    destination: str
    fuel: str
    value: float
    unit: str
    low: float
    high: float
    verification: str
    source: str
    line: int


@dataclass(frozen=True)
class Figures:
    """All rows by (record, from, to, fuel)."""

    rows: dict[Key, Figure]

    def get(self, record: str, origin: str = "", destination: str = "", fuel: str = "") -> float | None:
        """The value of a row, None where there is none."""
        row = self.rows.get((record, origin, destination, fuel))
        return None if row is None else row.value

    def of(self, record: str) -> list[Figure]:
        """All rows of a kind."""
        return [row for row in self.rows.values() if row.record == record]

    def price(self, origin: str, destination: str, fuel: str) -> float:
        """USD for the unit that prices are in: of the pair, else of the seller, the buyer, or all."""
        for ends in ((origin, destination), (origin, ""), ("", destination), ("", "")):
            found = self.get("price", *ends, fuel)
            if found is not None:
                return found
        raise InputError(f"No price of {fuel}: add a `price` row without `from` and `to`.")

    def value(self, origin: str, destination: str, fuel: str, quantity: float) -> float:
        """USD million of a quantity in Mt or bcm."""
        content = self.get("conversion", fuel=fuel)
        if content is None:
            raise InputError(f"No `conversion` row for {fuel}; expected one in {CONTENT[fuel]}.")
        return quantity * content * self.price(origin, destination, fuel)

    def cubic_metres(self, lng: float) -> float:
        """The gas, in bcm, that `lng` million tonnes of LNG take to make, with what liquefaction burns."""
        per_tonne, per_thousand = (self.get("conversion", fuel=fuel) or 0.0 for fuel in (LNG, PIPE))
        burnt = self.get("liquefaction-use", fuel=PIPE) or 0.0
        return lng * per_tonne / per_thousand / (1 - burnt)

    @cached_property
    def abilities(self) -> dict[str, set[tuple[str, str]]]:
        """(from, to) by kind of plant or link."""
        return {kind: {(row.origin, row.destination) for row in self.of(kind)} for kind in ABILITIES}

    def possible(self, origin: str, destination: str, fuel: str) -> bool:
        """Whether a fuel can go from one country to another: crude always, gas by its links and terminals."""
        able = self.abilities
        if fuel == PIPE:
            return origin == destination or (origin, destination) in able["pipeline"]
        if fuel == LNG:
            has_plants = (origin, "") in able["liquefaction"] and ("", destination) in able["regasification"]
            return has_plants and origin != destination
        return True


def read(path: Path | None = None) -> Figures:
    """The figures of a file, by default the one that ships. Sources stand in the `.yaml` file beside it.

    Raises `InputError`, with the line, for a row that cannot be used.
    """
    path = path or labels.DATA / "energy_2022.csv"
    try:
        lines = list(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
        sources = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise InputError(f"The energy figures `{path.name}` cannot be read: {problem}.") from None
    table = [(number, text) for number, text in lines if text and not text.startswith("#")]
    cells = list(csv.reader(text for _, text in table))
    if not cells or tuple(cells[0]) != COLUMNS:
        found = ",".join(cells[0]) if cells else "nothing"
        raise InputError(f"`{path.name}` needs the columns {','.join(COLUMNS)}; found {found}.")
    rows: dict[Key, Figure] = {}
    for (number, _), row in zip(table[1:], cells[1:], strict=True):
        where = f"`{path.name}`, line {number}"
        figure = _figure(row, number, where, sources)
        key = (figure.record, figure.origin, figure.destination, figure.fuel)
        if key in rows:
            raise InputError(f"{where}: the same figure stands on line {rows[key].line} already. Remove one.")
        rows[key] = figure
    figures = Figures(rows)
    _refuse_impossible(figures, path.name)
    return figures


def _figure(row: list[str], number: int, where: str, sources: dict) -> Figure:
    if len(row) != len(COLUMNS):
        raise InputError(f"{where}: {len(row)} cells; expected {len(COLUMNS)}: {','.join(COLUMNS)}.")
    record, origin, destination, fuel, value, unit, low, high, verification, source = row
    for noun, name, known in (
        ("record", record, RECORDS),
        ("fuel", fuel, FUELS),
        ("verification", verification, VERIFICATIONS),
        ("source", source, sources),
    ):
        if name not in known:
            raise InputError(f"{where}: {unknown_name(noun, name, known)}")
    for side, name, must in zip(("from", "to"), (origin, destination), ENDS[record], strict=True):
        if must is not None and bool(name) != bool(must):
            raise InputError(
                f"{where}: a `{record}` row has {'a' if must else 'no'} `{side}`; found `{name}`."
            )
        users = record == "use"
        known = {*labels.sectors(), "other", "final"} if users else labels.countries()
        if name and name not in known:
            raise InputError(f"{where}: {unknown_name('user' if users else 'country', name, known)}")
    expected = UNITS[record][fuel] if record in UNITS else "yes" if record in ABILITIES else "share"
    if unit != expected:
        raise InputError(
            f"{where}: the unit is `{unit}`; expected `{expected}` for {fuel} in a `{record}` row."
        )
    try:
        numbers = [float(text or value) for text in (value, low, high)]
    except ValueError:
        raise InputError(f"{where}: `{value}`, `{low}`, `{high}` are not all numbers.") from None
    middle, least, most = numbers
    if not all(map(math.isfinite, numbers)) or not 0 <= least <= middle <= most:
        raise InputError(f"{where}: expected 0 ≤ low ≤ value ≤ high; found {least:g}, {middle:g}, {most:g}.")
    if unit == "share" and most > 1:
        raise InputError(f"{where}: a share lies between 0 and 1; found up to {most:g}.")
    return Figure(record, origin, destination, fuel, middle, unit, least, most, verification, source, number)


def _refuse_impossible(figures: Figures, name: str) -> None:
    for row in figures.of("flow"):
        if row.value and not figures.possible(row.origin, row.destination, row.fuel):
            lacks = "a `pipeline` row" if row.fuel == PIPE else "`liquefaction` and `regasification` rows"
            raise InputError(
                f"`{name}`, line {row.line}: {row.fuel} from {row.origin} to {row.destination} lacks {lacks}. "
                "Add what exists, or remove the flow."
            )
