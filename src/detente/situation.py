"""From an economy and a shock to the arrays that the equations read."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from detente.economy import Economy
from detente.equations import Factors, Situation
from detente.feasibility import refuse_stranded
from detente.shock import Labels, Shock


def situation(economy: Economy, shock: Shock) -> Situation:
    """The trade weights and rates that `shock` makes of `economy`'s baseline. Raises `InputError` for a bad cell."""
    labels = Labels(economy.countries, economy.sectors)
    n, s = len(economy.countries), len(economy.sectors)
    shape = (n, n, s)
    theta = np.asarray(economy.trade_elasticity)
    trade_weight = np.array(economy.trade_share)
    entry = shock.entering(trade_weight, labels)
    if entry is not None:
        trade_weight += entry  # either is 0
    cost, weight = shock.cost(shape, labels), shock.weight(shape, labels)
    if cost is not None:
        touched = np.flatnonzero(cost != 1)  # a sanction touches few of the cells
        trade_weight.reshape(-1)[touched] *= cost.reshape(-1)[touched] ** -theta[touched % s]
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
        trade_weight[blocked] = 0.0
    refuse_stranded(economy, trade_weight)

    def inner(values: NDArray) -> Array:
        return jnp.asarray(np.ascontiguousarray(values.transpose(2, 0, 1)))

    return Situation(
        trade_weight=inner(trade_weight),
        sales_weight=inner(trade_weight / ((1 + t) * (1 + e))) if duties else None,
        tariff_weight=inner(trade_weight * t / (1 + t)) if duties else None,
        export_tax_weight=inner(trade_weight * e / ((1 + t) * (1 + e))) if duties else None,
        input_share=economy.input_share,
        value_added_share=economy.value_added_share,
        consumption_share=economy.consumption_share,
        value_added=economy.value_added,
        deficit=economy.deficit,
        world_income=jnp.asarray(np.asarray(economy.income).sum()),
        trade_elasticity=economy.trade_elasticity,
        substitution=economy.substitution,
        recipe=economy.recipe,
        factors=_factors(economy),
        closure=economy.closure,
    )


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
