"""Two situations compared: who trades more, who gains, who loses, labelled and in units people use."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from detente import labels
from detente.calibration import UNITS_IN_USD
from detente.decomposition import first_order
from detente.digits import NEGLIGIBLE, format_percent, format_usd
from detente.economy import Economy
from detente.equilibrium import TOLERANCE, Equilibrium, solve
from detente.errors import InputError
from detente.scenario import BASELINE, Scenario
from detente.shock import Shock
from detente.version import __version__

Situation = Scenario | Shock | str | os.PathLike[str] | Mapping[str, Any]

METHODS = [
    "Model: Caliendo, L. and Parro, F. (2015), Estimates of the Trade and Welfare Effects of NAFTA, Review of Economic "
    "Studies 82(1), 1-44, in exact changes (Dekle, Eaton and Kortum 2008, IMF Staff Papers 55:3).",
]

LONG_NAMES = {
    "real_income": ("percent", "Real income"),
    "equivalent_variation": ("money", "Equivalent variation"),
    "income_before": ("money", "Spending before"),
    "real_wage": ("percent", "Real wage"),
    "wage": ("percent", "Wage, against world factor income"),
    "consumer_price": ("percent", "Consumer price, against world factor income"),
    "price": ("percent", "Price index of buyers"),
    "output": ("percent", "Value of output"),
    "output_before": ("money", "Value of output before"),
    "output_after": ("money", "Value of output after"),
}


def simulate(
    economy: Economy,
    scenario: Situation,
    against: Situation | None = None,
    *,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> "Outcome":
    """What changes when the world goes from `against` to `scenario`.

    scenario, against: a `Scenario`, a shipped scenario's name, a YAML file, a mapping of the same form, or a `Shock`.
    against=None takes the scenario's own comparison ("baseline", the data year as it is, for a `Shock`).
    Raises `InputError` for input that cannot be used, `InfeasibleError` where no equilibrium exists, `ConvergenceError`
    where the residual stays above `tolerance` (with throw=False the outcome says so instead).
    """
    after = scenario if isinstance(scenario, Shock) else Scenario.load(scenario)
    if against is None:
        against = after.against if isinstance(after, Scenario) else BASELINE
    before = against if isinstance(against, Shock) else Scenario.load(against)
    shocks = [side if isinstance(side, Shock) else side.shock(economy) for side in (before, after)]
    solved = [solve(economy, shock, tolerance=tolerance, throw=throw) for shock in shocks]
    return Outcome(economy, before, after, shocks[0], shocks[1], solved[0], solved[1], tolerance)


@dataclass(frozen=True, repr=False)
class Outcome:
    """The comparison of two solved situations; `data` holds the results as an xarray Dataset.

    `data` variables: real_income, real_wage, wage, consumer_price [country], price, output [country, sector], in percent
    of the situation compared with; equivalent_variation, income_before [country], output_before, output_after [country,
    sector], in the unit of `.money` (USD billion for the embedded world), world factor income being the numéraire.
    Real income is exact: spending, net of transfers and with policy revenue, over the consumer price index.
    """

    economy: Economy
    situation_before: Scenario | Shock
    situation_after: Scenario | Shock
    shock_before: Shock = field(repr=False)
    shock_after: Shock = field(repr=False)
    before: Equilibrium = field(repr=False)
    after: Equilibrium = field(repr=False)
    tolerance: float

    @property
    def scenario(self) -> str:
        """Name of the situation reported."""
        return self.situation_after.name

    @property
    def against(self) -> str:
        """Name of the situation it is compared with."""
        return self.situation_before.name

    @property
    def title(self) -> str:
        """One line on the scenario."""
        return getattr(self.situation_after, "title", "") or self.scenario

    @property
    def focus(self) -> str:
        """The country whose trade the report looks at: the scenario's, else the one whose real income moves most."""
        named = getattr(self.situation_after, "focus", "")
        if named in self.economy.countries:
            return named
        return str(abs(self.data["real_income"]).idxmax().item())

    @property
    def sentences(self) -> list[str]:
        """The scenario, one sentence a measure."""
        return _sentences(self.situation_after)

    @property
    def sentences_against(self) -> list[str]:
        """The situation compared with, one sentence a measure."""
        return _sentences(self.situation_before)

    @property
    def converged(self) -> bool:
        """Whether both situations were solved to the tolerance."""
        return self.before.converged and self.after.converged

    @property
    def residual(self) -> float:
        """The larger of the two relative residuals."""
        return max(self.before.residual, self.after.residual)

    @property
    def money(self) -> str:
        """The unit of amounts of money."""
        return "USD billion" if self.economy.unit in UNITS_IN_USD else self.economy.unit

    @property
    def _unit(self) -> float:
        """World factor income, the numéraire, in `money`."""
        return self.economy.unit_value * UNITS_IN_USD.get(self.economy.unit, 1e9) / 1e9

    @property
    def provenance(self) -> dict[str, Any]:
        """What the numbers rest on: data, elasticities, closure, tolerance, residual, version."""
        return {
            "data": {},
            "elasticities": {"name": "given by the user", "source": ""},
            **self.economy.provenance,
            "closure": self.economy.closure,
            "numeraire": "world factor income",
            "tolerance": self.tolerance,
            "residual": self.residual,
            "version": __version__,
        }

    @cached_property
    def data(self) -> xr.Dataset:
        """All results by country and sector, labelled (see the class)."""
        a, b = self.before, self.after
        ratio = {
            name: np.asarray(getattr(b, name)) / np.asarray(getattr(a, name))
            for name in ("real_income_change", "wage_change", "consumer_price_change", "price_change")
        }
        income = np.asarray(a.income) * self._unit
        country, both = ("country",), ("country", "sector")
        made, making = np.asarray(a.output), np.asarray(b.output)
        growth = np.divide(making, made, out=np.ones_like(made), where=made > 0)
        variables = {
            "real_income": (country, _percent(ratio["real_income_change"])),
            "equivalent_variation": (country, income * (ratio["real_income_change"] - 1)),
            "income_before": (country, income),
            "real_wage": (country, _percent(ratio["wage_change"] / ratio["consumer_price_change"])),
            "wage": (country, _percent(ratio["wage_change"])),
            "consumer_price": (country, _percent(ratio["consumer_price_change"])),
            "price": (both, _percent(ratio["price_change"])),
            "output": (both, _percent(growth)),
            "output_before": (both, made * self._unit),
            "output_after": (both, making * self._unit),
        }
        coords = {"country": list(self.economy.countries), "sector": list(self.economy.sectors)}
        data = xr.Dataset(variables, coords, {"scenario": self.scenario, "against": self.against})
        for name, (unit, long_name) in LONG_NAMES.items():
            data[name].attrs = {"units": self.money if unit == "money" else unit, "long_name": long_name}
        return data

    @property
    def real_income(self) -> xr.DataArray:
        """Exact change in real income, percent [country]."""
        return self.data["real_income"]

    @property
    def equivalent_variation(self) -> xr.DataArray:
        """I_n (Ŵ_n − 1): what the change is worth at the prices of `against`, in `money` [country]."""
        return self.data["equivalent_variation"]

    def trade(self) -> xr.Dataset:
        """Sales by exporter to importer, net of duties: before and after, in `money` [exporter, importer, sector]."""
        dims = ("exporter", "importer", "sector")
        names = list(self.economy.countries)
        coords = {"exporter": names, "importer": names, "sector": list(self.economy.sectors)}
        flows = {
            when: (dims, self._flows[when].transpose(1, 0, 2) * self._unit) for when in ("before", "after")
        }
        data = xr.Dataset(flows, coords)
        for name in data:
            data[name].attrs = {"units": self.money, "long_name": f"Trade {name}"}
        return data

    def changing(self, country: str) -> set[str]:
        """Countries whose direct conditions of trade with `country` (costs, cuts, bans, duties) differ between the two.

        Raises `InputError` for an unknown country.
        """
        names = list(self.economy.countries)
        here = names.index(labels.resolve_countries(country, names)[0])
        before, after = (np.asarray(side.situation.trade_weight) for side in (self.before, self.after))
        differs = np.asarray((before != after).any(axis=0))
        return {
            name
            for name, one, other in zip(names, differs[here], differs[:, here], strict=True)
            if one or other
        }

    @cached_property
    def _flows(self) -> dict[str, NDArray]:
        return {"before": self.before.trade(), "after": self.after.trade()}

    def first_order(self) -> xr.Dataset:
        """The first-order split of the welfare change (`detente.decomposition.first_order`), percent [country].

        Variables terms_of_trade, volume_of_trade, trade_cost and total. An approximation, evaluated once: for large shocks
        it differs from `real_income` widely, because it values all additional imports at the old duty (Mexico in NAFTA:
        1.31 percent against 0.007). Raises `InputError` where a flow is banned in one situation only.
        """
        parts = first_order(self.economy, self.shock_before, self.shock_after, self.before, self.after)
        data = xr.Dataset(
            {name: ("country", 100 * value) for name, value in parts.items()},
            {"country": list(self.economy.countries)},
        )
        for name in data:
            data[name].attrs = {"units": "percent", "long_name": str(name).replace("_", " ").capitalize()}
        return data

    def group(self, countries: str | Sequence[str]) -> dict[str, float]:
        """Real income (percent), equivalent variation and spending before, of countries taken as one.

        Money adds up; the percentage is the sum of equivalent variations over the sum of spending, not a mean of percents.
        Raises `InputError` for unknown names.
        """
        codes = labels.resolve_countries(countries, list(self.economy.countries))
        part = self.data.sel(country=codes)
        value, income = float(part["equivalent_variation"].sum()), float(part["income_before"].sum())
        return {"real_income": 100 * value / income, "equivalent_variation": value, "income_before": income}

    def to_frame(self) -> pd.DataFrame:
        """One row a country: name, real income, equivalent variation, spending, wages and prices."""
        columns = ["real_income", "equivalent_variation", "income_before", "real_wage", "consumer_price"]
        frame = self.data[columns].to_dataframe()
        frame.insert(0, "name", [labels.country_name(str(code)) for code in frame.index])
        return frame

    def summary(self, most: int = 5) -> str:
        """The answer in a few lines: main parties, largest gains and losses, trade of the focus country, quality."""
        rows = [(labels.country_name(code), self.group(code)) for code in self._parties()]
        rows.append(("World", self.group("all")))
        width = max(len(name) for name, _ in rows) + 2
        lines = [self.title, f"{self.scenario} compared with {self.against}", ""]
        lines.append(f"{'':{width}}{'real income':>14}{'equivalent variation':>24}")
        lines.append(f"{'':{width}}{'':>14}{self.money:>24}")
        lines += [
            f"{name:{width}}{format_percent(row['real_income']):>14}{format_usd(row['equivalent_variation']):>24}"
            for name, row in rows
        ]
        worth = {
            str(code): float(value) for code, value in self.data["equivalent_variation"].to_series().items()
        }
        gains, losses = _extremes(worth, most)
        if gains or losses:
            lines += ["", f"gain most ({self.money}): {gains or 'no country'}"]
            lines += [f"lose most ({self.money}): {losses or 'no country'}", "", *self._trade_lines()]
        else:
            lines += ["", "No country gains or loses enough to print: the two situations come to the same."]
        return "\n".join([*lines, "", *self._quality()])

    def _trade_lines(self) -> list[str]:
        """Exports and imports of the focus country, before and after, with the partners that change most."""
        here = self.economy.countries.index(self.focus)
        lines = []
        for word, axis in (("exports", 1), ("imports", 0)):
            before, after = (
                np.delete(np.take(self._flows[when], here, axis=axis).sum(axis=1), here) * self._unit
                for when in ("before", "after")
            )
            partners = [code for code in self.economy.countries if code != self.focus]
            up, down = _extremes(dict(zip(partners, (after - before).tolist(), strict=True)), 2)
            name = labels.country_name(self.focus)
            total = f"{format_usd(before.sum(), sign=False)} → {format_usd(after.sum(), sign=False)}"
            lines.append(f"{name}'s {word} ({self.money}): {total}; {', '.join(filter(None, (up, down)))}")
        return lines

    def _quality(self) -> list[str]:
        used = self.provenance
        data = used["data"].get("title", "user's shares") if used["data"] else "user's shares"
        state = "converged" if self.converged else "NOT CONVERGED"
        return [
            f"{state}, residual {self.residual:.0e}; deficits {self.economy.closure}; "
            f"elasticities {used['elasticities']['name']}",
            str(data),
        ]

    def _parties(self) -> list[str]:
        """Who a reader looks for first: the focus country and the main parties that the economy has."""
        known = set(self.economy.countries)
        parties = [self.focus]
        for name in ("USA", "EU27", "GBR", "JPN", "CHN", "IND", "TUR"):
            group = labels.country_groups().get(name)
            if name not in parties and (name in known or (group and set(group) <= known)):
                parties.append(name)
        return parties if len(parties) > 1 else list(self.economy.countries)[:8]

    def citations(self) -> list[str]:
        """What this comparison rests on, ready for a reference list: software, data, elasticities, methods, sources."""
        used = self.provenance
        data, sets = used["data"], used["elasticities"]
        lines = [f"Software: détente {used['version']} (Apache-2.0)."]
        if data:
            lines.append(f"Data: {data['title']}. {data['source']} {data.get('attribution', '')}".rstrip())
        lines.append(f"Trade elasticities: {sets['name']}. {sets['source']}")
        lines += METHODS
        steps = [
            s
            for side in (self.situation_before, self.situation_after)
            for s in getattr(side, "steps", list)()
        ]
        sources = [" ".join(step.source.split()) for step in steps if getattr(step, "source", "")]
        lines += [f"Measures: {source}" for source in dict.fromkeys(sources)]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The object that `detente run --json` prints; its keys stand in docs/json.md. Plain numbers and texts."""
        table = self.data

        def by_country(name: str) -> dict[str, float]:
            return {str(code): float(value) for code, value in table[name].to_series().items()}

        used = self.provenance
        return {
            "scenario": self.scenario,
            "against": self.against,
            "title": self.title,
            "measures": self.sentences,
            "measures_against": self.sentences_against,
            "converged": self.converged,
            "residual": self.residual,
            "tolerance": self.tolerance,
            "real_income": by_country("real_income"),
            (
                "equivalent_variation_usd_bn" if self.money == "USD billion" else "equivalent_variation"
            ): by_country("equivalent_variation"),
            "money": self.money,
            "groups": {name: self.group(name) for name in self._groups()},
            "data": used["data"],
            "parameters": {
                "elasticities": used["elasticities"],
                "trade_elasticity": dict(
                    zip(self.economy.sectors, np.asarray(self.economy.trade_elasticity).tolist(), strict=True)
                ),
                "deficits": self.economy.closure,
                "numeraire": used["numeraire"],
            },
            "version": used["version"],
        }

    def _groups(self) -> list[str]:
        known = set(self.economy.countries)
        return ["all", *(name for name, members in labels.country_groups().items() if set(members) <= known)]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `data` as NetCDF (`.nc`) or the table by country as CSV (`.csv`); the file appears whole or not at all.

        Raises `InputError` for another ending or a folder that does not exist.
        """
        path = Path(path)
        if path.suffix not in (".nc", ".csv"):
            raise InputError(
                f"`{path.name}`: an outcome is saved as `.nc` (everything) or `.csv` (by country)."
            )
        if not path.parent.is_dir():
            raise InputError(f"Cannot save `{path.name}`: there is no folder `{path.parent}`. Make it first.")
        handle, temporary = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
        os.close(handle)
        try:
            if path.suffix == ".nc":
                self.data.to_netcdf(temporary, engine="h5netcdf")
            else:
                self.to_frame().to_csv(temporary, index_label="country")
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return path

    def __repr__(self) -> str:
        return self.summary()


def _percent(ratio: NDArray) -> NDArray:
    return 100 * (ratio - 1)


def _sentences(situation: Scenario | Shock) -> list[str]:
    if isinstance(situation, Scenario):
        return situation.sentences()
    changed = [
        name
        for name in ("trade_cost_change", "blocked", "tariff_new", "export_tax_new", "weight_change", "entry")
        if getattr(situation, name) is not None
    ]
    return [f"Arrays given by the user change {', '.join(changed) or 'nothing'}."]


def _extremes(amounts: Mapping[str, float], most: int) -> tuple[str, str]:
    """The largest rises and the largest falls, as text; amounts too small to print are left out."""
    ranked = sorted(amounts.items(), key=lambda item: item[1])
    shown = [f"{labels.country_name(code)} {format_usd(value)}" for code, value in ranked]
    falls = [text for text, (_, value) in zip(shown, ranked, strict=True) if value <= -NEGLIGIBLE]
    rises = [text for text, (_, value) in zip(shown, ranked, strict=True) if value >= NEGLIGIBLE]
    return ", ".join(rises[::-1][:most]), ", ".join(falls[:most])
