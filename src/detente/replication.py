"""Published results computed again, beside the published figures."""

import dataclasses
import os
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detente.economy import Economy
from detente.equilibrium import balance
from detente.outcome import Outcome, simulate
from detente.shock import Shock
from detente.sources import caliendo_parro
from detente.sources.caliendo_parro import COUNTRIES, SECTORS

MEMBERS = ("MEX", "CAN", "USA")
# Caliendo & Parro (2015), Review of Economic Studies 82:1, table 2: percent
PUBLISHED = pd.DataFrame(
    {
        "welfare": [1.31, -0.06, 0.08],
        "terms_of_trade": [-0.41, -0.11, 0.04],
        "volume_of_trade": [1.72, 0.04, 0.04],
        "real_wage": [1.72, 0.32, 0.11],
    },
    index=list(MEMBERS),
)


@dataclass(frozen=True)
class Nafta:
    """The NAFTA exercise: `table` by country in percent, `published` for the three members, `outcome` for the rest."""

    table: pd.DataFrame
    published: pd.DataFrame
    outcome: Outcome

    def agrees(self) -> bool:
        """Whether all published figures are met to their two decimals."""
        ours = self.table.loc[list(MEMBERS), list(self.published.columns)].round(2)
        return bool(np.allclose(ours, self.published, atol=1e-9))


def nafta_economy(folder: str | os.PathLike[str]) -> tuple[Economy, NDArray]:
    """Caliendo & Parro's world of 1993 with aggregate deficits solved out, and tariffs with those of NAFTA in 2005.

    Follows section 5.1 of the paper and its programs: output is at least exports; domestic sales are output less exports;
    a negative final demand is set to zero and shares scaled to one; tariffs change between the three members only.
    """
    raw = caliendo_parro.read(folder)
    n = len(COUNTRIES)
    own = np.arange(n)
    flow = raw.flow.copy()
    flow[own, own, :] = 0.0
    exports = flow.sum(axis=0)
    output = np.maximum(raw.output, exports)
    flow[own, own, :] = output - exports
    paid = flow * (1 + raw.tariff_1993)
    spending = paid.sum(axis=1)
    deficit = flow.sum(axis=(1, 2)) - flow.sum(axis=(0, 2))
    needs = np.einsum("njk,nk->nj", raw.input_share, output)
    final = np.maximum(spending - needs, 0.0)
    # a good that nobody in the country buys: own share one
    bought = spending[:, None, :] > 0
    trade_share = np.divide(
        paid,
        spending[:, None, :],
        out=np.eye(n)[:, :, None] * np.ones(paid.shape),
        where=np.broadcast_to(bought, paid.shape),
    )
    value_added = (raw.value_added_share * output).sum(axis=1)
    observed = Economy.from_shares(
        countries=COUNTRIES,
        sectors=SECTORS,
        trade_share=trade_share,
        input_share=raw.input_share,
        value_added_share=raw.value_added_share,
        consumption_share=final / final.sum(axis=1, keepdims=True),
        value_added=value_added,
        deficit=deficit,
        trade_elasticity=raw.trade_elasticity,
        tariff=raw.tariff_1993,
        closure="fixed",
        unit="USD",
        provenance={
            "data": {
                "title": "Caliendo & Parro's data of 1993, 31 countries × 40 sectors",
                "year": 1993,
                "source": "Caliendo & Parro (2015), replication files",
                "licence": "the authors'",
                "limits": [],
            },
            "elasticities": {"name": "Caliendo & Parro (2015), table 1", "source": "replication files"},
        },
    )
    tariff = raw.tariff_1993.copy()
    inside = [COUNTRIES.index(code) for code in MEMBERS]
    block = np.ix_(inside, inside)
    tariff[block] = raw.tariff_2005[block]
    # the programs start from observed value added, which setting final demands to zero has put off the other accounts
    observed = dataclasses.replace(observed, value_added=jnp.asarray(value_added / value_added.sum()))
    return balance(observed), tariff


def replicate_nafta(folder: str | os.PathLike[str]) -> Nafta:
    """NAFTA's tariff reductions 1993 to 2005 on the world of 1993 (Caliendo & Parro 2015, table 2).

    The table has, by country in percent: terms_of_trade, volume_of_trade and welfare (their one-shot first-order formula),
    real_wage, bloc_imports (growth of imports from the other members, the three only) and real_income (exact).
    Raises `InputError` where the data are not there.
    """
    economy, tariff = nafta_economy(folder)
    outcome = simulate(economy, Shock(tariff_new=tariff, name="NAFTA tariffs of 2005"))
    split = outcome.first_order().to_dataframe()
    table = pd.DataFrame(
        {
            "terms_of_trade": split["terms_of_trade"],
            "volume_of_trade": split["volume_of_trade"],
            "welfare": split["total"],
            "real_wage": outcome.data["real_wage"].to_series(),
            "bloc_imports": pd.Series(_bloc_imports(outcome)),
            "real_income": outcome.data["real_income"].to_series(),
        }
    )
    order = [*MEMBERS, *(code for code in COUNTRIES if code not in MEMBERS)]
    return Nafta(table.loc[order], PUBLISHED, outcome)


def _bloc_imports(outcome: Outcome) -> dict[str, float]:
    trade = outcome.trade().sel(exporter=list(MEMBERS), importer=list(MEMBERS)).sum("sector")
    growth = {}
    for code in MEMBERS:
        others = [other for other in MEMBERS if other != code]
        flows = trade.sel(importer=code, exporter=others).sum("exporter")
        growth[code] = 100 * (float(flows["after"]) / float(flows["before"]) - 1)
    return growth
