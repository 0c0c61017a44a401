"""Where a change in welfare comes from, in parts that add up to it, for shocks of any size.

Going from one situation to another along a path, the consumer price moves by Shephard's lemma and so does every unit
cost, whatever the nests and however stuck the factors. What is then left of dEV = d(I / P^C), prices being relative to the
situation at the start, is a sum of line integrals, each of the form ∫ f dg, with M imports at the border, F = M/(1+e) an
exporter's receipts, q = c (1+e) an exporter's price, and ω the weight of a flow that icebergs, cuts and bans leave:

    terms of trade     ∫ [Σ M_exports dlog q − Σ M_imports dlog q + D dlog P^C] / P^C
    volume of trade    ∫ [Σ t M dlog(M/(q d)) + Σ e F dlog(F/c)] / P^C
    trade cost         ∫ Σ (M/ω) dω / (θ P^C),  which is −∫ Σ M dlog d / P^C
    transfers          ∫ [dD − D dlog P^C] / P^C
    reallocation       ∫ Σ_k [d(VA_k) − VA_k dlog w_k] / P^C

The friction of a ban is infinite but what it costs is not: M/ω has a limit as ω → 0, the flow that would come at the
margin, and so the third integral is the loss of variety (Feenstra 1994, American Economic Review 84:1). Reallocation is
nil along the path where factors sort themselves efficiently (the envelope theorem), as they do here: stuck factors show up
as terms of trade.

The integrals are taken with equilibria at Legendre–Gauss–Lobatto points: with n points exact where integrand and integrator
are polynomials of degree n − 1, and products obey the product rule to rounding. The error falls
faster than any power of n where the path is smooth, and is reported: `residual` is the exact change less the parts.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Equilibrium, solve
from detente.errors import InputError
from detente.shock import Labels, Shock
from detente.situation import situation

PARTS = ("terms_of_trade", "volume_of_trade", "trade_cost", "transfers", "reallocation", "residual")
ELSEWHERE = ("endowment_change", "claims", "transfer")
POINTS = 5  # both ends included
CURVE = 4  # ω^(1/4) is what moves evenly: a polynomial that reaches zero, and no cliff where a weight grows a thousandfold


class Policy(NamedTuple):
    """What a situation sets: ω [importer, exporter, sector], baseline shares times κ̂^(−θ) without duties, and the rates."""

    weight: NDArray
    tariff: NDArray | None
    export_tax: NDArray | None


def split(
    economy: Economy,
    shock_before: Shock,
    shock_after: Shock,
    before: Equilibrium,
    after: Equilibrium,
    *,
    points: int = POINTS,
    tolerance: float = TOLERANCE,
) -> dict[str, NDArray]:
    """{part: [country]}, in units of world factor income; they sum to the equivalent variation I_n (Ŵ_n − 1).

    points: equilibria along the path, the two ends among them; each but these is solved, to `tolerance`.
    Raises `InputError` for fewer than two points and for shocks with instruments, whose rents have no part here, and what
    `solve` raises.
    """
    if economy.use_share is not None:
        raise InputError(
            "The welfare split does not know sourcing by use. `real_income` is exact with it; for a split, calibrate with "
            "sourcing='common'."
        )
    held = [each.name or type(each).__name__ for s in (shock_before, shock_after) for each in s.instruments]
    if held:
        raise InputError(
            f"The welfare split has no part for the rents of `{held[0]}`. `real_income` is exact with instruments too; "
            "for a split, state the measure as a cut, a cost or a duty."
        )
    if any(getattr(s, key) is not None for s in (shock_before, shock_after) for key in ELSEWHERE):
        raise InputError(
            "The welfare split has no part for capital, claims abroad or transfers (`endowment_change`, `claims`, "
            "`transfer`). `real_income` is exact with them; for a split, leave them out."
        )
    if points < 2:
        raise InputError(f"`points` is {points}; expected at least 2, the two situations themselves.")
    place, rule = lobatto(points)
    ends = policy(economy, shock_before), policy(economy, shock_after)
    policies = [ends[0], *(_between(*ends, share) for share in place[1:-1]), ends[1]]
    inside = [solve(economy, _shock(economy, each), tolerance=tolerance) for each in policies[1:-1]]
    solved = [before, *inside, after]
    parts = _integrals(economy, policies, solved, rule)
    start = np.asarray(before.income)
    growth = np.asarray(after.real_income_change) / np.asarray(before.real_income_change)
    parts["residual"] = start * (growth - 1) - sum(parts.values())
    return parts


def policy(economy: Economy, shock: Shock) -> Policy:
    """What `shock` sets, duties apart from the weights. Raises `InputError` for a bad cell."""
    n, s = len(economy.countries), len(economy.sectors)
    labels = Labels(economy.countries, economy.sectors)
    new = shock.tariff((n, n, s), labels), shock.export_tax((n, n, s), labels)
    old = tuple(None if rate is None else np.asarray(rate) for rate in (economy.tariff, economy.export_tax))
    tariff, tax = (was if now is None else now for now, was in zip(new, old, strict=True))
    untaxed = situation(economy, dataclasses.replace(shock, tariff_new=None, export_tax_new=None))
    return Policy(np.array(untaxed.trade_weight).transpose(1, 2, 0), tariff, tax)


def lobatto(points: int) -> tuple[NDArray, NDArray]:
    """Legendre–Gauss–Lobatto points on [0, 1], and Q with ∫ f dg ≈ Σ_ab Q_ab f_a g_b (its rows sum to zero)."""
    last = np.polynomial.legendre.Legendre.basis(points - 1)
    at = np.array([-1.0, *np.sort(np.real(last.deriv().roots())), 1.0])
    value = last(at)
    apart = at[:, None] - at[None, :] + np.eye(points)
    rule = value[:, None] / value[None, :] / apart
    np.fill_diagonal(rule, 0.0)
    np.fill_diagonal(rule, -rule.sum(axis=1))
    return (1 + at) / 2, rule * (2 / (points * (points - 1) * value**2))[:, None]


def _factor(tariff: NDArray | None, export_tax: NDArray | None) -> NDArray | float:
    """(1 + t)(1 + e)."""
    return (1.0 if tariff is None else 1 + tariff) * (1.0 if export_tax is None else 1 + export_tax)


def _between(start: Policy, end: Policy, share: float) -> Policy:
    def rate(one: NDArray | None, other: NDArray | None) -> NDArray | None:
        if one is None and other is None:
            return None
        logs = [0.0 if each is None else np.log1p(each) for each in (one, other)]
        return np.expm1((1 - share) * logs[0] + share * logs[1])

    weight = start.weight.copy()
    moved = start.weight != end.weight
    roots = start.weight[moved] ** (1 / CURVE), end.weight[moved] ** (1 / CURVE)
    weight[moved] = ((1 - share) * roots[0] + share * roots[1]) ** CURVE
    return Policy(weight, rate(start.tariff, end.tariff), rate(start.export_tax, end.export_tax))


def _shock(economy: Economy, at: Policy) -> Shock:
    """The shock that leads to these weights and rates."""
    share = np.asarray(economy.trade_share)
    there = share > 0
    entry = np.where(there, 0.0, at.weight)
    return Shock(
        weight_change=np.divide(at.weight, share, out=np.ones_like(share), where=there),
        entry=entry if entry.any() else None,
        tariff_new=at.tariff,
        export_tax_new=at.export_tax,
        name="a point on the path",
    )


def _integrals(
    economy: Economy, policies: list[Policy], solved: list[Equilibrium], rule: NDArray
) -> dict[str, NDArray]:
    def stacked(name: str) -> NDArray:
        return np.stack([np.asarray(getattr(found, name)) for found in solved])

    def moved(g: NDArray) -> NDArray:
        """Σ_b Q_ab g_b: what g does around each point, weighted for the integral."""
        return np.tensordot(rule, g - g[0], axes=1)

    theta = np.asarray(economy.trade_elasticity)
    price = stacked("consumer_price_change")
    price = price / price[0]  # [point, country]
    cost, log_price = np.log(stacked("cost_change")), np.log(price)
    old = _factor(*(None if r is None else np.asarray(r) for r in (economy.tariff, economy.export_tax)))
    # M/ω at every point [point, importer, exporter, sector]: imports for a weight of one, defined for banned flows too
    latent = np.stack(
        [
            (_factor(at.tariff, at.export_tax) / old) ** -theta
            / (1.0 if at.tariff is None else 1 + at.tariff)
            * (np.asarray(found.cost_change) ** -theta)[None, :, :]
            * (np.asarray(found.price_change) ** theta * np.asarray(found.spending))[:, None, :]
            for at, found in zip(policies, solved, strict=True)
        ]
    )
    weight = np.stack([at.weight for at in policies])
    imports = weight * latent
    taxes = _rates([at.export_tax for at in policies])
    tariffs = _rates([at.tariff for at in policies])
    dear = moved(cost[:, None, :, :] if taxes is None else cost[:, None, :, :] + np.log1p(taxes))
    dear_imports = imports * dear
    wasted = np.zeros_like(latent)  # M dlog d
    touched = weight[0] != weight[-1]
    wasted[:, touched] = -latent[:, touched] * moved(weight[:, touched])
    wasted /= theta
    terms = dear_imports.sum(axis=(1, 3)) - dear_imports.sum(axis=(2, 3))
    volume = np.zeros_like(price)
    if tariffs is not None:
        volume += (tariffs * (moved(imports) - dear_imports - wasted)).sum(axis=(2, 3))
    if taxes is not None:
        sales = imports / (1 + taxes)
        volume += (taxes * (moved(sales) - sales * moved(cost)[:, None, :, :])).sum(axis=(1, 3))
    deficit, earned = stacked("deficit"), stacked("value_added")
    deflated = deficit * moved(log_price)
    paid = np.log(stacked("factor_price_change"))
    found = {
        "terms_of_trade": terms + deflated,
        "volume_of_trade": volume,
        "trade_cost": -wasted.sum(axis=(2, 3)),
        "transfers": moved(deficit) - deflated,
        "reallocation": (moved(earned) - earned * moved(paid)).sum(axis=2),
    }
    return {name: (value / price).sum(axis=0) for name, value in found.items()}


def _rates(given: list[NDArray | None]) -> NDArray | None:
    """Rates at every point, None where there are none at any."""
    some = next((rate for rate in given if rate is not None), None)
    return None if some is None else np.stack([np.zeros_like(some) if r is None else r for r in given])
