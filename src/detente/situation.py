"""From an economy and a shock to the arrays that the equations read."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.economy import Economy
from detente.evasion import Routes, routes
from detente.feasibility import refuse_stranded
from detente.holdings import net_receipts
from detente.shock import Labels, Shock
from detente.terms import Factors, Situation, Transit


def situation(economy: Economy, shock: Shock) -> Situation:
    """The trade weights and rates that `shock` makes of `economy`'s baseline. Raises `InputError` for a bad cell."""
    labels = Labels(economy.countries, economy.sectors)
    n, s = len(economy.countries), len(economy.sectors)
    shape = (n, n, s)
    theta = np.asarray(economy.trade_elasticity)
    trade_weight = economy.buyer_share.reshape(-1, *shape).copy()  # one for each mix of sellers
    entry = shock.entering(np.asarray(economy.trade_share), labels)
    if entry is not None:
        trade_weight += entry  # either is 0
    undisturbed = None if shock.evasion is None else trade_weight.copy()
    cost, weight = shock.cost(shape, labels), shock.weight(shape, labels)
    if cost is not None:
        touched = np.flatnonzero(cost != 1)  # a sanction touches few of the cells
        factor = cost.reshape(-1)[touched] ** -theta[touched % s]
        for mix in trade_weight:
            mix.reshape(-1)[touched] *= factor
    if weight is not None:
        trade_weight *= weight
    new_t, new_e = shock.tariff(shape, labels), shock.export_tax(shape, labels)
    duties = any(rate is not None for rate in (economy.tariff, economy.export_tax, new_t, new_e))
    if duties:
        old_t, old_e = _rate(economy.tariff, shape), _rate(economy.export_tax, shape)
        t, e = (old_t if new_t is None else new_t), (old_e if new_e is None else new_e)
        trade_weight *= ((1 + t) * (1 + e) / ((1 + old_t) * (1 + old_e))) ** -theta
    else:
        t = e = np.zeros(1)
    blocked = shock.ban(shape, labels)
    if blocked is not None:
        trade_weight[:, blocked] = 0.0
    around = None if undisturbed is None else evaded(economy, shock)
    if around is not None and undisturbed is not None:
        duty = 1.0
        if duties:
            duty = (((1 + t) * (1 + e) / ((1 + old_t) * (1 + old_e))) ** -theta)[around.cells]
        for mix, before in zip(trade_weight, undisturbed, strict=True):
            mix[around.cells] = before[around.cells] * duty * around.weight
    refuse_stranded(economy, trade_weight)

    sales_weight = trade_weight / ((1 + t) * (1 + e)) if duties else trade_weight
    transit = None
    if around is not None:
        transit, sales_weight = _transit(around, sales_weight)

    def inner(values: NDArray) -> Array:
        buyers = np.broadcast_to(values, trade_weight.shape).reshape(-1, n, s)
        return jnp.asarray(np.ascontiguousarray(buyers.transpose(2, 0, 1)))

    weights = {
        "trade_weight": inner(trade_weight),
        "sales_weight": inner(sales_weight) if duties or transit is not None else None,
        "tariff_weight": inner(trade_weight * t / (1 + t)) if duties else None,
        "export_tax_weight": inner(trade_weight * e / ((1 + t) * (1 + e))) if duties else None,
    }
    return replace(bare(economy, shock), transit=transit, **weights)


def bare(economy: Economy, shock: Shock) -> Situation:
    """The situation without its weights of trade, which are None. Raises `InputError` for what is wrong in the rest."""
    grown = shock.endowment(economy.countries)
    claims, transfer = shock.owed(economy.countries), shock.given(economy.countries)
    return Situation(
        trade_weight=None,  # pyright: ignore[reportArgumentType]
        sales_weight=None,
        tariff_weight=None,
        export_tax_weight=None,
        cross=None,
        input_share=economy.input_share,
        value_added_share=economy.value_added_share,
        consumption_share=economy.consumption_share,
        value_added=economy.value_added,
        endowment=None if grown is None else jnp.asarray(grown),
        deficit=_unowned(economy),
        claims=economy.claims if claims is None else jnp.asarray(claims),
        transfer=None if transfer is None else jnp.asarray(transfer),
        world_income=jnp.asarray(np.asarray(economy.income).sum()),
        trade_elasticity=economy.trade_elasticity,
        substitution=economy.substitution,
        recipe=economy.recipe,
        factors=_factors(economy),
        rents=None,
        transit=None,
        closure=economy.closure,
    )


def _unowned(economy: Economy) -> Array:
    """The baseline's deficit less income from claims abroad [country]."""
    if economy.claims is None:
        return economy.deficit
    return jnp.asarray(np.asarray(economy.deficit) - net_receipts(economy.claims, economy.value_added))


def external(at: Situation) -> NDArray:
    """What is spent above factor income and revenue at the baseline's incomes: what must go through trade [country]."""
    found = np.asarray(at.deficit)
    if at.claims is not None:
        found = found + net_receipts(at.claims, at.value_added)
    return found if at.transfer is None else found + np.asarray(at.transfer)


def direct_weight(shock: Shock, economy: Economy) -> NDArray:
    """κ̂^(−θ) of the direct routes, without duties: cuts, costs and bans [importer, exporter, sector]."""
    n, s = len(economy.countries), len(economy.sectors)
    labels, shape = Labels(economy.countries, economy.sectors), (n, n, s)
    found = np.ones(shape)
    cost, weight = shock.cost(shape, labels), shock.weight(shape, labels)
    if cost is not None:
        found *= cost ** -np.asarray(economy.trade_elasticity)
    if weight is not None:
        found *= weight
    blocked = shock.ban(shape, labels)
    return found if blocked is None else np.where(blocked, 0.0, found)


def evaded(economy: Economy, shock: Shock) -> Routes | None:
    """The ways through hubs that the shock's evasion opens, None where no flow takes any. Raises `InputError`."""
    if shock.evasion is None:
        return None
    flow = np.asarray(economy.trade_share) * np.asarray(economy.spending)[:, None, :]
    theta, names = np.asarray(economy.trade_elasticity), (economy.countries, economy.sectors)
    found = routes(shock.evasion, flow, direct_weight(shock, economy), theta, *names)
    return found if len(found.weight) else None


def _transit(around: Routes, net_weight: NDArray) -> tuple[Transit, NDArray]:
    """What goes through hubs, and the sales weights net of their margins. Cells are filled up, so that shapes recur."""
    uses, countries = net_weight.shape[:2]
    rate = around.margin / (1 + around.margin)
    through = [mix[around.cells][:, None] * around.through for mix in net_weight]
    sales_weight = net_weight.copy()
    for mix, part in zip(sales_weight, through, strict=True):
        mix[around.cells] -= rate * part.sum(axis=1)
    buyer = np.concatenate([around.importer + use * countries for use in range(uses)])
    cells, hubs = _recurring(len(buyer), 256), _recurring(len(around.hub), 4)

    def filled(values: NDArray, *size: int) -> Array:
        return jnp.asarray(
            np.pad(values, [(0, more - had) for more, had in zip(size, values.shape, strict=True)])
        )

    return (
        Transit(
            sector=filled(np.tile(around.sector, uses), cells),
            buyer=filled(buyer, cells),
            exporter=filled(np.tile(around.exporter, uses), cells),
            weight=filled(np.concatenate(through), cells, hubs),
            rate=filled(np.tile(rate, uses), cells),
            hub=filled(around.hub, hubs),
        ),
        sales_weight,
    )


def _recurring(count: int, least: int) -> int:
    """The smallest power of two times `least` that holds `count`."""
    return least * 2 ** max(0, int(np.ceil(np.log2(count / least))))


def _factors(economy: Economy) -> Factors | None:
    if economy.factor_mobility is None and economy.resource_share is None:
        return None
    shape = economy.output.shape
    rho = np.zeros(shape) if economy.resource_share is None else np.asarray(economy.resource_share)
    income = economy.value_added_share * economy.output
    rho = np.where(np.asarray(income) > 0, rho, 0.0)  # a sector that enters has no resource of its own
    moving = 0.0 if economy.factor_mobility is None else 1 / float(economy.factor_mobility)
    return Factors(
        stickiness=jnp.asarray(rho + (1 - rho) * moving),
        resource_share=jnp.asarray(rho),
        sector_income=income,
        log_resource=None,
    )


def _rate(rate: Array | None, shape: tuple[int, int, int]) -> NDArray:
    return np.zeros(shape) if rate is None else np.asarray(rate)
