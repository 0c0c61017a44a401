"""The key `evasion` of a scenario: names to codes, and one sentence on who re-exports what."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from detente import labels
from detente.errors import InputError
from detente.evasion import Evasion
from detente.scenario_file import Source

if TYPE_CHECKING:
    from detente.economy import Economy

GOODS = ("goods",)  # services cannot be passed on


def read_evasion(source: Source) -> Evasion | None:
    """The mapping `evasion` of checked plain data, None where there is none. Raises `InputError` with the line."""
    given = source.content.get("evasion")
    if given is None:
        return None
    listed = {key: _listed(given[key]) for key in ("hubs", "sectors") if key in given}
    try:
        return Evasion(**{"sectors": GOODS, **given, **listed})
    except InputError as problem:
        raise InputError(f"{source.place(('evasion',))}: {problem}") from None


def resolved(evasion: Evasion | None, economy: "Economy", target: str) -> Evasion | None:
    """The same in codes of the economy; None where no hub is named. `target` is the country that measures are directed at.

    Raises `InputError` for an unknown name, for a hub that is the target, and for one without any trade.
    """
    if evasion is None or not evasion.hubs:
        return None
    countries = list(economy.countries)
    hubs = labels.resolve_countries(evasion.hubs, countries)
    if target in hubs:
        raise InputError(
            f"`hubs` of `evasion` names {target}, which the measures are directed at; a hub is a third country. Remove it."
        )
    flow = np.einsum("nij,nj->ni", np.asarray(economy.trade_share), np.asarray(economy.spending))
    np.fill_diagonal(flow, 0.0)
    idle = [code for code in hubs if not flow[countries.index(code)].any()]
    if idle:
        raise InputError(
            f"`hubs` of `evasion` names {idle[0]}, which imports nothing in these data. Remove it."
        )
    sectors = evasion.sectors
    if sectors is not None:
        sectors = labels.resolve_sectors(sectors, list(economy.sectors))
    return replace(evasion, hubs=hubs, sectors=sectors)


def sentence(evasion: Evasion) -> str:
    """`What is cut goes around in part: Türkiye and Hong Kong pass goods on, at a margin of 24 % (ease 1).`"""
    if not evasion.hubs:
        return "Nothing goes around the measures."
    groups = {name.casefold(): members for name, members in labels.country_groups().items()}
    codes = [code for name in evasion.hubs for code in groups.get(name.casefold(), (name,))]
    names = [labels.country_name(code) for code in codes]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    passes = "passes" if len(names) == 1 else "pass"
    what = "everything" if evasion.sectors is None else ", ".join(map(_sector, evasion.sectors))
    parts = [f"ease {_number(evasion.ease)}"]
    if evasion.route_elasticity is not None:
        parts.append(f"elasticity between routes {_number(evasion.route_elasticity)}")
    margin = _number(evasion.margin, 100)
    return f"What is cut goes around in part: {listed} {passes} on {what}, at a margin of {margin} % ({', '.join(parts)})."


def _sector(code: str) -> str:
    return code if code in labels.sector_groups() else labels.sector_name(code)


def _number(given: object, scale: float = 1.0) -> str:
    values = scale * np.asarray(given, float)
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"


def _listed(given: str | list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else tuple(given)
