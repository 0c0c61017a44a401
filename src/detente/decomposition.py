"""Where a change in welfare comes from, to first order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detente.economy import Economy
from detente.equilibrium import Equilibrium
from detente.errors import InputError
from detente.shock import Shock


def first_order(
    economy: Economy, shock_before: Shock, shock_after: Shock, before: Equilibrium, after: Equilibrium
) -> dict[str, NDArray]:
    """The split of Caliendo & Parro (2015, eq. 16), evaluated once at `before`; fractions of income [country].

    terms_of_trade = Σ_j Σ_i (E_in (ĉ_n − 1) − M_ni (ĉ_i − 1)) / I_n
    volume_of_trade = Σ_j Σ_i t_ni (M'_ni − M_ni − M_ni (ĉ_i − 1)) / I_n
    trade_cost = −Σ_j Σ_i M_ni (d̂_ni − 1) / I_n, the resource cost of frictions (absent from the paper)
    total: their sum.
    M is imports at the border, E exports net of the exporter's tax; hats are ratios between the two situations. Raises
    `InputError` where a flow is banned or enters in one of them only: its friction is infinite.
    """
    flow, flow_after = before.trade(), after.trade()
    if ((flow > 0) != (flow_after > 0)).any():
        raise InputError(
            "The first-order split is not defined when a flow is banned or enters in one of the two situations: its "
            "friction is infinite. Use `real_income`, which is exact, or replace the ban by a deep cut."
        )
    shape = flow.shape
    income = np.asarray(before.income)
    cost = np.asarray(after.cost_change) / np.asarray(before.cost_change) - 1
    tariff = _rate(shock_before.tariff_new, economy.tariff, shape)
    imports = flow * (1 + _rate(shock_before.export_tax_new, economy.export_tax, shape))
    imports_after = flow_after * (1 + _rate(shock_after.export_tax_new, economy.export_tax, shape))
    dearer = np.einsum("nij,ij->n", imports, cost)
    revenue = np.einsum("nij,nij->n", tariff, imports_after - imports - imports * cost[None, :, :])
    friction = np.expm1(log_friction(economy, shock_after) - log_friction(economy, shock_before))
    parts = {
        "terms_of_trade": ((flow.sum(axis=0) * cost).sum(axis=1) - dearer) / income,
        "volume_of_trade": revenue / income,
        "trade_cost": -np.einsum("nij,nij->n", imports, friction) / income,
    }
    return parts | {"total": sum(parts.values(), np.zeros_like(income))}


def log_friction(economy: Economy, shock: Shock) -> NDArray:
    """ln d̂ of a shock's costs and direct cuts (weight m is d̂ = m^(−1/θ)) [importer, exporter, sector]."""
    total = np.zeros(economy.trade_share.shape)
    if shock.trade_cost_change is not None:
        total = total + np.log(np.asarray(shock.trade_cost_change, float))
    if shock.weight_change is not None:
        weight = np.asarray(shock.weight_change, float)
        total = total - np.log(np.where(weight > 0, weight, 1.0)) / np.asarray(economy.trade_elasticity)
    return total


def _rate(new: Any, old: Any, shape: tuple[int, ...]) -> NDArray:
    rate = old if new is None else new
    return np.zeros(shape) if rate is None else np.broadcast_to(np.asarray(rate, float), shape)
