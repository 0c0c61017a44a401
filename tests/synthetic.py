"""A stand-in for an Outcome: made-up numbers in the documented shape, for tests of charts and report only."""

from typing import Any

import numpy as np
import xarray as xr

from detente import labels

COUNTRIES = [code for code in labels.countries() if labels.iso_numeric(code)]
SECTORS = ["B06", "C19", "C28", "G"]
LIMITS = ["2022 is already a sanctioned year.", "Final demand by destination is imputed."]


class SyntheticOutcome:
    """Everything charts and report read, and nothing else; `size` scales every change."""

    def __init__(self, countries: list[str] | None = None, size: float = 1.0, **overrides: Any) -> None:
        self.countries = list(countries or COUNTRIES)
        self.scenario, self.against = "us-relief", "status-quo-2025"
        self.title = "The United States lifts, all others keep"
        self.sentences = ["The United States lifts its cuts on trade with Russia.", "All others keep theirs."]
        self.sentences_against = ["The coalition cuts its trade with Russia."]
        self.focus, self.money = "RUS", "USD billion"
        self.converged, self.residual = True, 3.2e-12
        self.provenance = {
            "data": {
                "title": "OECD Inter-Country Input–Output tables, 2025 edition",
                "year": 2022,
                "source": "OECD ICIO",
                "licence": "OECD terms",
                "limits": LIMITS,
            },
            "elasticities": {"name": "caliendo-parro-2015", "source": "Caliendo & Parro (2015)"},
            "horizon": {"name": "long", "told": "long", "overrides": {}, "values": {"inputs": 1.0}},
            "closure": "share-of-world",
            "tolerance": 1e-10,
        }
        for name, value in overrides.items():
            setattr(self, name, value)
        self._build(size)

    def _build(self, size: float) -> None:
        number, coords = len(self.countries), {"country": self.countries}
        steps = np.arange(number)
        income = 90.0 * (1 + steps[::-1] % 7) ** 2.5
        change = 0.0031 * np.sin(1.7 * steps) * size
        for code, value in (("RUS", 0.4138), ("USA", 0.00213)):
            if code in self.countries:
                change[self.countries.index(code)] = value * size
        per_cent = {"dims": "country", "coords": coords, "attrs": {"units": "percent"}}
        usd = {"dims": "country", "coords": coords, "attrs": {"units": "USD billion"}}
        self.data = xr.Dataset(
            {
                "real_income": xr.DataArray(change, **per_cent),
                "real_wage": xr.DataArray(0.9 * change, **per_cent),
                "consumer_price": xr.DataArray(-0.4 * change, **per_cent),
                "equivalent_variation": xr.DataArray(income * change / 100, **usd),
                "output": xr.DataArray(
                    np.ones((number, len(SECTORS))),
                    dims=("country", "sector"),
                    coords=coords | {"sector": SECTORS},
                ),
                "income_before": xr.DataArray(income, **usd),
            }
        )

    def group(self, name: str | list[str]) -> dict[str, float]:
        codes = list(labels.country_groups()[name]) if isinstance(name, str) else list(name)
        part = self.data.sel(country=[code for code in codes if code in self.countries])
        before, gain = float(part.income_before.sum()), float(part.equivalent_variation.sum())
        return {"real_income": 100 * gain / before, "equivalent_variation": gain, "income_before": before}

    def changing(self, country: str) -> set[str]:
        """As in a scenario in which the United States alone acts."""
        return {"USA"} - {country}

    def trade(self) -> xr.Dataset:
        number = len(self.countries)
        i, n, j = np.meshgrid(np.arange(number), np.arange(number), np.arange(len(SECTORS)), indexing="ij")
        before = 40.0 * np.exp(-0.31 * ((7 * i + 13 * n + 5 * j) % 23))
        before[i == n] *= 50
        after = before * (1 + 0.02 * np.sin(3.0 * n + j + 0.3 * i))
        coords = {"exporter": self.countries, "importer": self.countries, "sector": SECTORS}
        dims = ("exporter", "importer", "sector")
        return xr.Dataset({"before": (dims, before), "after": (dims, after)}, coords=coords)
