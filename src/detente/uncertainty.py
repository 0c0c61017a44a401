"""From a draw of parameters to the economy and the scenario that it means. Nothing is solved here."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detente.calibration import read_elasticities
from detente.economy import Economy
from detente.errors import InputError, unknown_name
from detente.horizon import DEFAULT, number
from detente.ranges import CUTS, HORIZON_SCALE, MIX, SCALE, Ranges
from detente.scenario import Scenario


def applied(
    draw: Mapping[str, float], economy: Economy, scenario: Scenario, ranges: Ranges
) -> tuple[Economy, Scenario]:
    """The economy and the scenario of one draw, as `behaving` and `placed` make them."""
    return behaving(draw, economy, ranges), placed(draw, scenario)


def behaving(draw: Mapping[str, float], economy: Economy, ranges: Ranges) -> Economy:
    """The same baseline with the behaviour of a draw {parameter: value}, which its provenance records under `draw`.

    economy: at the horizon `long`, as calibrated; that of `ranges` is applied here, with the values drawn. Trade
    elasticities are those of the economy, or with `trade_elasticity_mix` x those between two sets, θ₀^(1−x) θ₁^x, times
    `trade_elasticity_scale`, times the factor on the sector's part, times the horizon's scale.
    Raises `InputError` for an unknown parameter, one that changes nothing here, and an economy at another horizon.
    """
    for name in draw:
        if name not in ranges.rows:
            raise unknown_name("parameter with a range", name, ranges.rows)
    before = economy.provenance.get("horizon")
    if before is not None and (before["base"], before["overrides"]) != (DEFAULT, {}):
        raise InputError(
            f"The economy has the horizon `{before['told']}`. Calibrate it at `{DEFAULT}`: a draw brings its own, here "
            f"`{ranges.horizon.told}`."
        )
    theta, told = _elasticities(draw, economy, ranges)
    economy = economy.with_behaviour(trade_elasticity=theta)
    sources = {**economy.provenance, **told, "draw": dict(draw)}
    economy = dataclasses.replace(economy, provenance=sources)
    other = {CUTS, MIX, SCALE, *ranges.parts(economy.sectors)}
    changes = {name: value for name, value in draw.items() if name not in other}
    if HORIZON_SCALE in changes:
        changes[SCALE] = changes.pop(HORIZON_SCALE)
    return ranges.horizon.changed(changes).applied(economy)


def placed(draw: Mapping[str, float], scenario: Scenario) -> Scenario:
    """The scenario with its sizes at `cuts_position` of their ranges; as it is where that is not drawn."""
    return dataclasses.replace(scenario, cuts=draw[CUTS]) if CUTS in draw else scenario


def _elasticities(
    draw: Mapping[str, float], economy: Economy, ranges: Ranges
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """θ [sector] before the horizon's scale, and for the provenance which sets it is from."""
    theta, told = np.array(economy.trade_elasticity), {}
    if MIX in draw:
        (first, cited, start), (last, cited_too, end) = (
            read_elasticities(name, economy.sectors) for name in ranges.elasticity_sets
        )
        part = draw[MIX]
        theta = start ** (1 - part) * end**part
        name = f"{first} to {last}, at {number(part)}"
        told = {"elasticities": {"name": name, "source": "; ".join(dict.fromkeys((cited, cited_too)))}}
    theta = theta * draw.get(SCALE, 1.0)
    for name, codes in ranges.parts(economy.sectors).items():
        if name not in draw:
            continue
        if not codes:
            raise InputError(
                f"`{name}` has no effect: this world has no such sector. Leave it out, or draw from "
                "`ranges.fitting(economy.sectors)`."
            )
        theta[[economy.sectors.index(code) for code in codes]] *= draw[name]
    return theta, told
