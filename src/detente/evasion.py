"""Evasion: sanctioned goods that travel through third countries, and what the hubs on the way earn.

A flow of a good from exporter i to importer n is shipped by many traders, each on the cheapest of its routes: directly, or
through a hub h. Costs of routes differ between traders with elasticity ρ, so the cost of the flow is a soft minimum over
routes (Allen & Arkolakis 2022, Review of Economic Studies 89:6, here with routes of at most two legs):

    κ_ni^(−ρ) = [D_ni^(ρ/θ) + Σ_h O'_nhi] / [1 + Σ_h O_nhi],   O_nhi = ease · closeness_nhi · (1 + m)^(−ρ)

against the undisturbed flow. D is the direct route's weight, 0 under a ban; O the odds of the way through h against the
direct one without any measure; O' the same with the measures on its two legs. Here stand arrays and no equilibrium.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detente.errors import InputError, unknown_name

MARGIN = (
    0.24  # Hong Kong, 1988-1998: Feenstra & Hanson (2004), as remembered, unverified; see docs/evasion.md
)
EASE = 8.0  # with which hubs replace about as much of what Russia buys as observed, 2021 to 2023; see docs/evasion.md


@dataclass(frozen=True)
class Evasion:
    """Ways around sanctions through third countries.

    hubs: codes of the countries that re-export; none means no evasion. margin: m ≥ 0, what a hub adds to the price of what
    it passes on, 0.24 being 24 %, all of it its income. ease: ≥ 0, scale of the odds of a way through a hub against the
    direct one; 1 takes the hubs' closeness to both sides for these odds (see `closeness`), 0 is no evasion.
    route_elasticity: ρ > 0, how traders answer to costs of routes; None takes the trade elasticity of the good.
    sectors: codes of the goods that can be passed on; None is all. margin, ease and route_elasticity are a number, or one
    for each sector of the economy.
    """

    hubs: Sequence[str]
    margin: ArrayLike = MARGIN
    ease: ArrayLike = EASE
    route_elasticity: ArrayLike | None = None
    sectors: Sequence[str] | None = None

    def __post_init__(self):
        for name, least in (("margin", 0.0), ("ease", 0.0), ("route_elasticity", None)):
            given = getattr(self, name)
            if given is None and least is None:
                continue
            try:
                values = np.asarray(given, float)
            except (TypeError, ValueError):
                values = np.full((), np.nan)
            bound = "above 0" if least is None else "of at least 0"
            wrong = (values <= 0) if least is None else (values < 0)
            if isinstance(given, bool) or not np.isfinite(values).all() or wrong.any():
                hint = " 10 % is written 0.1." if name == "margin" else ""
                raise InputError(
                    f"`{name}` of `evasion` is {given!r}; expected a finite number {bound}.{hint}"
                )
        object.__setattr__(self, "hubs", _codes("hubs", self.hubs))
        if self.sectors is not None:
            object.__setattr__(self, "sectors", _codes("sectors", self.sectors))


class Routes(NamedTuple):
    """The cells [cell] whose flow finds a way through a hub, and how much of it takes that way.

    importer, exporter, sector: indices [cell]; weight: κ_eff^(−θ) in place of the direct weight [cell]; hub: indices [hub];
    through: part of the flow's value that is diverted through each hub [cell, hub]; margin: m [cell].
    """

    importer: NDArray[np.int_]
    exporter: NDArray[np.int_]
    sector: NDArray[np.int_]
    weight: NDArray
    hub: NDArray[np.int_]
    through: NDArray
    margin: NDArray

    @property
    def cells(self) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.int_]]:
        """An index into arrays over [importer, exporter, sector]."""
        return self.importer, self.exporter, self.sector


def routes(
    evasion: Evasion,
    flow: NDArray,
    direct: NDArray,
    theta: NDArray,
    countries: Sequence[str],
    sectors: Sequence[str],
) -> Routes:
    """Ways through hubs for all flows that are cut.

    flow: baseline spending [importer, exporter, sector]; direct: weight of the direct routes, 1 in the baseline, without
    duties, which goods of an origin pay on every route; theta [sector]. A flow whose weight is 1 or more, and one that no
    hub can serve better than the direct route, is not among the cells.
    Raises `InputError` for a hub or sector that the economy does not have, or numbers for another count of sectors.
    """
    hub = np.asarray([_index("hub", code, countries) for code in evasion.hubs], int)
    can = np.ones(len(sectors), bool)
    if evasion.sectors is not None:
        can[:] = False
        can[[_index("sector", code, sectors) for code in evasion.sectors]] = True
    margin, ease = (_by_sector(evasion, name, sectors) for name in ("margin", "ease"))
    rho = theta if evasion.route_elasticity is None else _by_sector(evasion, "route_elasticity", sectors)
    cut = (direct < 1) & can
    cut[np.arange(len(countries)), np.arange(len(countries))] = False
    n, i, j = np.nonzero(cut)
    near = closeness(flow[:, :, can].sum(axis=2), hub)[n, :, i]
    odds = near * (ease * (1 + margin) ** -rho)[j][:, None]
    power = (rho / theta)[j]
    straight = direct[n, i, j] ** power
    legs = np.minimum(direct[n[:, None], hub, j[:, None]], 1) * np.minimum(
        direct[hub, i[:, None], j[:, None]], 1
    )
    diverted = odds * np.maximum(
        legs ** power[:, None] - straight[:, None], 0
    )  # beyond the data year's transit
    total = straight * (1 + odds.sum(axis=1)) + diverted.sum(axis=1)
    keep = diverted.sum(axis=1) > 0
    n, i, j, total, odds, diverted = n[keep], i[keep], j[keep], total[keep], odds[keep], diverted[keep]
    weight = (total / (1 + odds.sum(axis=1))) ** (1 / power[keep])
    return Routes(n, i, j, weight, hub, diverted / total[:, None], margin[j])


def closeness(flow: NDArray, hub: NDArray[np.int_]) -> NDArray:
    """√(share of h in n's imports · share of h in i's exports): [importer, hub, exporter], 0 where h is n or i.

    flow: baseline spending on the goods that can be passed on [importer, exporter]. Summed over all hubs it is at most 1.
    """
    abroad = flow * ~np.eye(len(flow), dtype=bool)
    bought, sold = abroad.sum(axis=1), abroad.sum(axis=0)
    supply = np.divide(abroad, bought[:, None], out=np.zeros_like(abroad), where=bought[:, None] > 0)[:, hub]
    outlet = np.divide(abroad, sold, out=np.zeros_like(abroad), where=sold > 0)[hub]
    return np.sqrt(supply[:, :, None] * outlet[None, :, :])


def ceiling(odds: ArrayLike, route_elasticity: ArrayLike) -> NDArray:
    """κ ≤ (1 + 1/O)^(1/ρ): the most that any ban of the direct route costs where hubs stay open, as a ratio.

    odds: O = Σ_h O_nhi; infinite cost where it is 0. It does not depend on the trade elasticity.
    """
    with np.errstate(divide="ignore"):
        return (1 + 1 / np.asarray(odds, float)) ** (1 / np.asarray(route_elasticity, float))


def _codes(name: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(code, str) for code in given):
        raise InputError(f"`{name}` of `evasion` is {given!r}; expected a list of codes.")
    twice = next((code for k, code in enumerate(given) if code in given[:k]), None)
    if twice is not None:
        raise InputError(f"`{name}` of `evasion` names {twice} twice. Remove one.")
    return tuple(given)


def _index(kind: str, code: str, names: Sequence[str]) -> int:
    if code not in names:
        raise unknown_name(f"{kind} of `evasion`", code, names)
    return list(names).index(code)


def _by_sector(evasion: Evasion, name: str, sectors: Sequence[str]) -> NDArray:
    values = np.asarray(getattr(evasion, name), float)
    if values.shape not in ((), (len(sectors),)):
        raise InputError(
            f"`{name}` of `evasion` has shape {values.shape}; expected one number, or {len(sectors)}, one a sector."
        )
    return np.broadcast_to(values, (len(sectors),))
