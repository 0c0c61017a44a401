"""A shock: what a scenario changes, as arrays.

`Shock` is the door for people who have arrays. Those who think in measures use `detente.Scenario`, which becomes a
`Shock` for the economy it is simulated on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError
from detente.evasion import Evasion
from detente.holdings import checked_claims
from detente.instruments import Ceiling

AXES = "[importer, exporter, sector]"
CLOSED = 1e-12  # to which transfers must sum to zero: rounding of a sum of a hundred numbers below 1


@dataclass(frozen=True)
class Shock:
    """Changes to bilateral trade, each an array over [importer, exporter, sector] or something that broadcasts to it.

    trade_cost_change: d̂ ≥ 0, ratio of the new iceberg cost to the baseline's; 1 is no change, 1.5 is 50 % dearer.
    blocked: True where trade is banned; the flow becomes exactly zero.
    tariff_new, export_tax_new: ad-valorem rates > −1 in the new situation (0.2 is 20 %); None keeps the baseline's.
    weight_change: factor on the trade weight κ̂^(−θ): a direct cut of 40 % is 0.6, lifting it again 1/0.6. A cut stated
        this way needs no trade elasticity.
    entry: for flows that are nil in the baseline, which no factor can revive: the share of the importer's baseline spending
        that the flow would take at baseline costs. It stands in for π where π is 0 (and must be 0 elsewhere); all other
        fields act on it as on a share.
    instruments: price caps, quotas and producers' rules (`detente.instruments`), which bind or do not.
    endowment_change: change in the quantity of a country's mobile factors [country], or a number for all; 1 is none.
    claims: share of each host's factor income that is due to each owner abroad [owner, host], in place of the baseline's
        (`Economy.claims`); None keeps those.
    transfer: what each country is given, negative where it gives [country], in units of world factor income; sums to zero.
    evasion: hubs through which flows that are cut, made dearer or banned find a way around (see `Evasion`); None is none.

    Raises `InputError` (on use, when the shapes are known) naming the first bad cell.
    """

    trade_cost_change: ArrayLike | None = None
    blocked: ArrayLike | None = None
    tariff_new: ArrayLike | None = None
    export_tax_new: ArrayLike | None = None
    weight_change: ArrayLike | None = None
    entry: ArrayLike | None = None
    endowment_change: ArrayLike | None = None
    claims: ArrayLike | None = None
    transfer: ArrayLike | None = None
    instruments: Sequence[Ceiling] = ()
    evasion: Evasion | None = None
    name: str = "shock"

    def cost(self, shape: tuple[int, int, int], labels: "Labels") -> NDArray | None:
        """d̂ broadcast to `shape`, or None where nothing is said."""
        return _checked(self.trade_cost_change, "trade_cost_change", shape, labels, above=0.0, strict=True)

    def weight(self, shape: tuple[int, int, int], labels: "Labels") -> NDArray | None:
        """The weight factor broadcast to `shape`, or None."""
        return _checked(self.weight_change, "weight_change", shape, labels, above=0.0)

    def entering(self, trade_share: NDArray, labels: "Labels") -> NDArray | None:
        """The entry shares broadcast to the shape of `trade_share`, or None; 0 wherever that has a flow."""
        values = _checked(self.entry, "entry", trade_share.shape, labels, above=0.0)
        if values is None:
            return None
        taken = np.argwhere((values > 0) & (trade_share > 0))
        if taken.size:
            cell = tuple(taken[0])
            raise InputError(
                f"`entry` is {values[cell]:g} at {labels.cell(cell)}, where the baseline has a share of "
                f"{trade_share[cell]:.3g}; expected 0 there. Entry is "
                "for flows that are nil: raise this one by `weight_change`."
            )
        return values

    def endowment(self, countries: Sequence[str]) -> NDArray | None:
        """The change in mobile factors [country], or None where nothing is said."""
        if self.endowment_change is None:
            return None
        given = np.asarray(self.endowment_change, dtype=float)
        if given.shape not in ((), (len(countries),)):
            raise InputError(
                f"`endowment_change` has shape {given.shape}; expected ({len(countries)},), one for each country."
            )
        values = np.broadcast_to(given, len(countries))
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            n = int(np.argmax(bad))
            raise InputError(
                f"`endowment_change` is {values[n]} for {countries[n]}; expected a finite number above 0, as a ratio to "
                "the baseline."
            )
        return values

    def owed(self, countries: Sequence[str]) -> NDArray | None:
        """The claims [owner, host], or None where nothing is said."""
        return None if self.claims is None else checked_claims(self.claims, countries)

    def given(self, countries: Sequence[str]) -> NDArray | None:
        """The transfers [country], or None where nothing is said."""
        if self.transfer is None:
            return None
        values = np.asarray(self.transfer, dtype=float)
        if values.shape != (len(countries),):
            raise InputError(
                f"`transfer` has shape {values.shape}; expected ({len(countries)},), one for each country."
            )
        bad = ~np.isfinite(values)
        if bad.any():
            n = int(np.argmax(bad))
            raise InputError(f"`transfer` is {values[n]} for {countries[n]}; expected a finite number.")
        if abs(values.sum()) > CLOSED * max(1.0, abs(values).sum()):
            raise InputError(
                f"`transfer` sums to {values.sum():.3g} of world factor income; expected 0. What one country is given "
                "others give: enter it with a minus sign for them."
            )
        return values

    def ban(self, shape: tuple[int, int, int], labels: "Labels") -> NDArray | None:
        """The mask of banned flows broadcast to `shape`, or None."""
        if self.blocked is None:
            return None
        given = np.asarray(self.blocked)
        if given.dtype != bool:
            raise InputError(
                f"`blocked` must hold True and False {AXES}; got {given.dtype}. Write `blocked=array > 0`."
            )
        mask = _broadcast(given, "blocked", shape)
        for n, i, _ in np.argwhere(mask):
            if n == i:
                raise InputError(
                    f"`blocked` bans {labels.countries[n]}'s trade with itself. A ban is between two countries; "
                    "set the diagonal [n, n, :] to False."
                )
        return mask

    def tariff(self, shape: tuple[int, int, int], labels: "Labels") -> NDArray | None:
        """New ad-valorem tariff broadcast to `shape`, or None."""
        return _checked(self.tariff_new, "tariff_new", shape, labels, above=-1.0, strict=True)

    def export_tax(self, shape: tuple[int, int, int], labels: "Labels") -> NDArray | None:
        """New ad-valorem export tax broadcast to `shape`, or None."""
        return _checked(self.export_tax_new, "export_tax_new", shape, labels, above=-1.0, strict=True)


@dataclass(frozen=True)
class Labels:
    """The names of an array's cells, for messages."""

    countries: Sequence[str]
    sectors: Sequence[str]

    def cell(self, index: Sequence[int]) -> str:
        """`importer DEU, exporter RUS, sector C19` for an index over [importer, exporter, sector]."""
        n, i, j = index
        return f"importer {self.countries[n]}, exporter {self.countries[i]}, sector {self.sectors[j]}"


def _broadcast(given: NDArray, name: str, shape: tuple[int, int, int]) -> NDArray:
    try:
        return np.broadcast_to(given, shape)
    except ValueError:
        raise InputError(
            f"`{name}` has shape {given.shape}; expected {shape} {AXES}, or something that broadcasts to it."
        ) from None


def _checked(
    given: ArrayLike | None,
    name: str,
    shape: tuple[int, int, int],
    labels: Labels,
    above: float,
    strict: bool = False,
) -> NDArray | None:
    if given is None:
        return None
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as problem:
        raise InputError(f"`{name}` must hold numbers {AXES}: {problem}.") from None
    values = _broadcast(values, name, shape)
    bad = ~np.isfinite(values) | (values <= above if strict else values < above)
    if bad.any():
        cell = np.argwhere(bad)[0]
        bound = f"{'above' if strict else 'at least'} {above:g}"
        hint = " For a ban use `blocked`, not an infinite cost." if name == "trade_cost_change" else ""
        raise InputError(
            f"`{name}` is {values[tuple(cell)]} at {labels.cell(cell)}; expected a finite number {bound}.{hint}"
        )
    return values
