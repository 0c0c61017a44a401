"""A quantity that decides a claim: its values over settings, or a count of the record, given as a range."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from detente.digits import NEGLIGIBLE, format_number
from detente.errors import InputError
from detente.horizon import DEFAULT
from detente.sizes import CENTRAL, Position, end

RECORDED = "record"
_SPACE = "\N{NO-BREAK SPACE}"


class Setting(NamedTuple):
    """What a result is computed with: elasticities, a closure, a reading of the sanctions, a position of sizes, a horizon.

    cuts: where in its range each size is taken: low, central, high or a number from 0 to 1. world: a name that `World.load`
    knows, or none for the embedded table.
    """

    elasticities: str
    closure: str
    reading: str
    cuts: Position = CENTRAL
    horizon: str = DEFAULT
    world: str | None = None

    def __str__(self) -> str:
        told = [] if self.cuts == CENTRAL else [f"sizes {end(self.cuts)}"]
        told += [] if self.horizon == DEFAULT else [f"horizon {self.horizon}"]
        told += [] if self.world is None else [f"world {self.world}"]
        return ", ".join([self.elasticities, self.closure, self.reading, *told])


@dataclass(frozen=True)
class Quantity:
    """A quantity with its values: {setting: value}, or one value under "record". detail: the count behind it."""

    key: str
    label: str
    unit: str
    values: Mapping[str, float]
    detail: str = ""

    @property
    def low(self) -> float:
        """The least value."""
        return min(self.values.values())

    @property
    def high(self) -> float:
        """The greatest value."""
        return max(self.values.values())

    @property
    def modelled(self) -> bool:
        """Whether it was computed with the model, as against counted in the record."""
        return not any(key.startswith(RECORDED) for key in self.values)

    @property
    def text(self) -> str:
        """The range in words: `−0.0037 to −0.0028 %`; a count reads `56 % (23 of 41)`."""
        if not self.modelled:
            ends = [f"{value:.3g}" for value in (self.low, self.high)]
            number = " to ".join(dict.fromkeys(ends))
            counted = self.detail.replace(" of ", f"{_SPACE}of{_SPACE}")
            return f"{number}{_SPACE}{self.unit}" + (f" ({counted})" if counted else "")
        ends = ["", ""]
        for digits in (2, 3, 4):
            ends = [format_number(v, digits=digits, sign=self.signed) for v in (self.low, self.high)]
            if ends[0] != ends[1]:
                break
        if ends[0] == ends[1]:
            return f"{ends[0]}{_SPACE}{self.unit} at every setting"
        return f"{ends[0]} to {ends[1]}{_SPACE}{self.unit}"

    @property
    def signed(self) -> bool:
        """Whether it is a change, to be written with its sign, as against a share or a ratio."""
        return self.unit in ("%", "points") or self.unit.startswith("USD")


def ratio(part: float, whole: float) -> float:
    """part/whole; raises `InputError` where the whole is too small for that to mean anything."""
    if abs(whole) < NEGLIGIBLE:
        raise InputError("its denominator is too small for a ratio to mean anything.")
    return part / whole
