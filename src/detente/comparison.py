"""What every comparison of situations gives, whether of two or of the mean over several outcomes: figures, tables, words.

A kind of comparison says what was compared and brings the results by country and sector; the rest follows from these.
"""

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from detente import labels
from detente.calibration import UNITS_IN_USD
from detente.digits import NEGLIGIBLE, format_percent, format_usd
from detente.economy import Economy
from detente.errors import InputError
from detente.scenario import Scenario
from detente.shock import Shock
from detente.version import __version__
from detente.welfare import POINTS

METHODS = [
    "Model: Caliendo, L. and Parro, F. (2015), Estimates of the Trade and Welfare Effects of NAFTA, Review of Economic "
    "Studies 82(1), 1-44, in exact changes (Dekle, Eaton and Kortum 2008, IMF Staff Papers 55:3).",
]
GIVEN = {
    "name": "given by the user",
    "told": "given by the user",
    "overrides": {},
    "values": {},
    "sources": [],
}


class Comparison(ABC):
    """Results of going from `situation_before` to `situation_after`; see `Outcome` and `Prospect` for the two kinds."""

    economy: Economy
    situation_before: Scenario | Shock
    situation_after: Scenario | Shock
    tolerance: float
    _word = ""  # before units in the summary

    @property
    @abstractmethod
    def data(self) -> xr.Dataset:
        """All results by country and sector, labelled (see `Outcome`)."""

    @property
    @abstractmethod
    def _flows(self) -> dict[str, NDArray]:
        """Trade net of duties in world factor income [importer, exporter, sector], "before" and "after"."""

    @property
    @abstractmethod
    def evaded(self) -> bool:
        """Whether goods may go around measures through hubs in any of the situations."""

    @property
    @abstractmethod
    def _passed_on(self) -> dict[str, NDArray]:
        """What goes around measures in world factor income [hub, exporter, importer], "before" and "after"."""

    @property
    @abstractmethod
    def converged(self) -> bool:
        """Whether every situation was solved to the tolerance."""

    @property
    @abstractmethod
    def residual(self) -> float:
        """The largest relative residual of the situations."""

    @abstractmethod
    def changing(self, country: str) -> set[str]:
        """Countries whose direct conditions of trade with `country` (costs, cuts, bans, duties) differ between the two.

        Raises `InputError` for an unknown country.
        """

    @abstractmethod
    def welfare_split(self, points: int = POINTS) -> xr.Dataset:
        """Where the change in welfare comes from, in parts that add up to it [part, country] (see `Outcome`)."""

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
            "horizon": dict(GIVEN),
            **self.economy.provenance,
            "closure": self.economy.closure,
            "numeraire": "world factor income",
            "tolerance": self.tolerance,
            "residual": self.residual,
            "version": __version__,
        }

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

    def re_exports(self) -> xr.Dataset:
        """Goods that go around measures, at the hub's price: before and after, in `money` [hub, exporter, importer]."""
        names = list(self.economy.countries)
        dims = ("hub", "exporter", "importer")
        data = xr.Dataset(
            {when: (dims, self._passed_on[when] * self._unit) for when in ("before", "after")},
            dict.fromkeys(dims, names),
        )
        for name in data:
            data[name].attrs = {"units": self.money, "long_name": f"Passed on around measures {name}"}
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
        if self.evaded:
            columns += ["re_exports_after", "margin_income_after"]
        frame = self.data[columns].to_dataframe()
        frame.insert(0, "name", [labels.country_name(str(code)) for code in frame.index])
        return frame

    def summary(self, most: int = 5) -> str:
        """The answer in a few lines: main parties, largest gains and losses, trade of the focus country, quality."""
        lines = [self.title, *self._compared(), "", *self._table()]
        worth = {
            str(code): float(value) for code, value in self.data["equivalent_variation"].to_series().items()
        }
        gains, losses = _extremes(worth, most)
        if gains or losses:
            lines += ["", f"gain most ({self._word}{self.money}): {gains or 'no country'}"]
            lines += [
                f"lose most ({self._word}{self.money}): {losses or 'no country'}",
                "",
                *self._trade_lines(),
            ]
        else:
            lines += ["", "No country gains or loses enough to print: the two situations come to the same."]
        more = self._market_lines()
        told = [*lines, *self._around(), *([""] if more else []), *more]
        return "\n".join([*told, "", *self._quality()])

    def _market_lines(self) -> list[str]:
        """Markets of oil and gas and what came of instruments, where there are any."""
        return []

    def _around(self) -> list[str]:
        """What hubs pass on and earn, where goods go around measures."""
        if not self.evaded:
            return []
        passed, earned = (self.data[name].to_series() for name in ("re_exports_after", "margin_income_after"))
        hubs, _ = _extremes({str(code): float(value) for code, value in earned.items()}, 5)
        value, gain = (format_usd(amounts.sum(), sign=False) for amounts in (passed, earned))
        total = f"{value} through hubs, which earn {gain} by it"
        return [f"around the measures ({self._word}{self.money}): {total}; {hubs or 'too little to print'}"]

    def _compared(self) -> list[str]:
        return [f"{self.scenario} compared with {self.against}"]

    def _table(self) -> list[str]:
        """Real income and equivalent variation of the main parties."""
        rows = [(name, self.group(code)) for name, code in self._parties()]
        width = max(len(name) for name, _ in rows) + 2
        return [
            f"{'':{width}}{'real income':>14}{'equivalent variation':>24}",
            f"{'':{width}}{'':>14}{self.money:>24}",
            *(
                f"{name:{width}}{format_percent(row['real_income']):>14}{format_usd(row['equivalent_variation']):>24}"
                for name, row in rows
            ),
        ]

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
            lines.append(
                f"{name}'s {word} ({self._word}{self.money}): {total}; {', '.join(filter(None, (up, down)))}"
            )
        return lines

    def _quality(self) -> list[str]:
        used = self.provenance
        data = used["data"].get("title", "user's shares") if used["data"] else "user's shares"
        state = "converged" if self.converged else "NOT CONVERGED"
        return [
            f"{state}, residual {self.residual:.0e}; deficits {self.economy.closure}; "
            f"elasticities {used['elasticities']['name']}; horizon {used['horizon']['told']}"
            + ("; sourcing by use" if self.economy.use_share is not None else ""),
            str(data),
        ]

    def _parties(self) -> list[tuple[str, str]]:
        """Name and code of whom a reader looks for first: the focus country, the main parties it has, the world."""
        return main_parties(self.economy.countries, self.focus)

    def citations(self) -> list[str]:
        """What this comparison rests on, ready for a reference list: software, data, elasticities, methods, sources."""
        used = self.provenance
        data, sets = used["data"], used["elasticities"]
        lines = [f"Software: détente {used['version']} (Apache-2.0)."]
        if data:
            lines.append(f"Data: {data['title']}. {data['source']} {data.get('attribution', '')}".rstrip())
        lines.append(f"Trade elasticities: {sets['name']}. {sets['source']}")
        sources = [source for source in used["horizon"]["sources"] if source != GIVEN["name"]]
        lines.append(f"Horizon: {'; '.join([used['horizon']['told'], *sources])}.")
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
        around = {"evasion": self._around_json()} if self.evaded else {}
        return around | {
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
                "horizon": {key: value for key, value in used["horizon"].items() if key != "sources"},
                "deficits": self.economy.closure,
                "numeraire": used["numeraire"],
            },
            "version": used["version"],
        }

    def _around_json(self) -> dict[str, Any]:
        hubs = self.data.where(
            (self.data["re_exports_before"] > 0) | (self.data["re_exports_after"] > 0), drop=True
        )
        names = ("re_exports_before", "re_exports_after", "margin_income_before", "margin_income_after")
        routes = self.re_exports().to_dataframe().query("before > 0 or after > 0").reset_index()
        return {
            **{name: {str(code): float(v) for code, v in hubs[name].to_series().items()} for name in names},
            "routes": routes.to_dict("records"),
        }

    def _groups(self) -> list[str]:
        known = set(self.economy.countries)
        return ["all", *(name for name, members in labels.country_groups().items() if set(members) <= known)]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `data` as NetCDF (`.nc`, the horizon as JSON in its attribute `horizon`) or the table by country as CSV
        (`.csv`, the horizon in its last column); the file appears whole or not at all.

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
                self._stored().assign_attrs(horizon=json.dumps(self.provenance["horizon"])).to_netcdf(
                    temporary, engine="h5netcdf"
                )
            else:
                self.to_frame().assign(horizon=self.provenance["horizon"]["told"]).to_csv(
                    temporary, index_label="country"
                )
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return path

    def _stored(self) -> xr.Dataset:
        return self.data

    def __repr__(self) -> str:
        return self.summary()


def main_parties(countries: Sequence[str], focus: str = "") -> list[tuple[str, str]]:
    """Name and code of whom a reader looks for first: the focus country, the main parties of a world, the world."""
    known = set(countries)
    parties = [focus] if focus in known else []
    for name in ("USA", "EU27", "GBR", "JPN", "CHN", "IND", "TUR"):
        group = labels.country_groups().get(name)
        if name not in parties and (name in known or (group and set(group) <= known)):
            parties.append(name)
    chosen = parties if len(parties) > 1 else list(countries)[:8]
    return [*((labels.country_name(code), code) for code in chosen), ("World", "all")]


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
