"""Random small economies for property tests: a seed in, an `Economy` out. One shape, so that programs compile once."""

import dataclasses

import numpy as np

from detente.economy import Economy
from detente.shock import Shock

COUNTRIES, SECTORS = 4, 3


def shares(seed: int) -> dict:
    """Arguments for `Economy.from_shares`: home bias, duties, deficits of a few percent, one empty trade cell."""
    draw = np.random.default_rng(seed)
    n, s = COUNTRIES, SECTORS
    pull = draw.lognormal(0, 1, (n, n, s)) + 3 * np.eye(n)[:, :, None]
    pull[0, 1, 0] = 0.0
    v = draw.uniform(0.25, 0.75, (n, s))
    abroad = 1 - np.eye(n)[:, :, None]
    value_added = draw.lognormal(0, 0.7, n)
    deficit = value_added * draw.normal(0, 0.02, n)
    return {
        "countries": [f"N{k}" for k in range(n)],
        "sectors": [f"S{k}" for k in range(s)],
        "trade_share": pull / pull.sum(axis=1, keepdims=True),
        "input_share": draw.dirichlet(np.ones(s), (n, s)).transpose(0, 2, 1) * (1 - v)[:, None, :],
        "value_added_share": v,
        "consumption_share": draw.dirichlet(np.ones(s), n),
        "value_added": value_added,
        "deficit": deficit - deficit.sum() * value_added / value_added.sum(),
        "trade_elasticity": draw.uniform(1.5, 10, s),
        "tariff": abroad * draw.uniform(0, 0.3, (n, n, s)),
        "export_tax": abroad * draw.uniform(0, 0.1, (n, n, s)),
    }


def economy(seed: int, closure: str = "share-of-world") -> Economy:
    """The economy of that seed."""
    return Economy.from_shares(**shares(seed), closure=closure)


def shock(seed: int) -> Shock:
    """Costs from × 0.8 to × 3, cuts and their reverse, new duties, a ban of one pair one way, entry in the empty cell."""
    draw = np.random.default_rng(seed + 10_000)
    shape = (COUNTRIES, COUNTRIES, SECTORS)
    home = np.eye(COUNTRIES, dtype=bool)[:, :, None]
    blocked = np.zeros(shape, bool)
    blocked[2, 3] = True
    entry = np.zeros(shape)
    entry[0, 1, 0] = draw.uniform(0.01, 0.2)
    return Shock(
        trade_cost_change=np.where(home, 1.0, np.exp(draw.uniform(np.log(0.8), np.log(3), shape))),
        weight_change=np.where(home, 1.0, draw.uniform(0.3, 2, shape)),
        tariff_new=np.where(home, 0.0, draw.uniform(0, 0.5, shape)),
        export_tax_new=np.where(home, 0.0, draw.uniform(0, 0.2, shape)),
        blocked=blocked,
        entry=entry,
    )


def permuted(given: dict, order: np.ndarray) -> dict:
    """The same arguments with countries in another order."""
    bilateral = {"trade_share", "tariff", "export_tax"}
    result = dict(given)
    for name, value in given.items():
        if name == "countries":
            result[name] = [value[k] for k in order]
        elif name in bilateral:
            result[name] = value[np.ix_(order, order)]
        elif name not in ("sectors", "trade_elasticity"):
            result[name] = value[order]
    return result


NO_ARRAYS = ("name", "evasion", "instruments", "endowment_change", "claims", "transfer")  # not over cells


def permuted_shock(given: Shock, order: np.ndarray) -> Shock:
    """The same shock with countries in another order."""
    cells = np.ix_(order, order)
    return dataclasses.replace(
        given,
        **{
            f.name: np.asarray(getattr(given, f.name))[cells]
            for f in dataclasses.fields(given)
            if f.name not in NO_ARRAYS and getattr(given, f.name) is not None
        },
    )
