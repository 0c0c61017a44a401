"""What an ensemble of draws gives: bands for every party, draws without a solution, and what drives a result."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detente import labels
from detente.calibration import UNITS_IN_USD
from detente.comparison import main_parties
from detente.digits import format_number, format_percent
from detente.draws import LEVELS, SALTELLI, Driver, Ranking, bands, ranking
from detente.ensemble import WORK, Ensemble, work
from detente.errors import InputError
from detente.sweep import read_sweep, run_sweep
from detente.terminal import table
from detente.version import __version__

DRAWS = "draws"  # the folder of the sweep inside that of the results
QUANTITIES = {"real_income": "real income", "equivalent_variation": "equivalent variation"}


@dataclass(frozen=True, repr=False)
class Spread:
    """Results of an ensemble. rows: one a draw, as `Ensemble.rows` gives them."""

    ensemble: Ensemble
    rows: pd.DataFrame = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Whether both situations of a draw were solved [draw]."""
        return (self.rows[["result_before", "result"]].to_numpy() == 0).all(axis=1)

    @property
    def failed(self) -> dict[int, str]:
        """{draw without a solution: why}; these draws are in no band."""
        lost = self.rows[~self.solved]
        return {int(k): str(why) for k, why in zip(lost["draw"], lost["message"], strict=True)}

    @property
    def scenario(self) -> str:
        """Name of the situation reported."""
        return self.ensemble.after.name

    @property
    def against(self) -> str:
        """Name of the situation it is compared with."""
        return self.ensemble.before.name

    @property
    def money(self) -> str:
        """The unit of amounts of money."""
        unit = self.ensemble.economy.unit
        return "USD billion" if unit in UNITS_IN_USD else unit

    @property
    def provenance(self) -> dict[str, Any]:
        """What the numbers rest on, as that of an `Outcome`; its horizon is the one whose ranges are drawn."""
        asked = self.ensemble
        known, cited = asked.elasticity_set
        return {
            **asked.economy.provenance,
            "elasticities": {"name": known, "source": cited},
            "horizon": asked.ranges.horizon.to_json() | {"told": f"{asked.ranges.horizon.told}, drawn"},
            "closure": asked.deficits,
            "tolerance": asked.tolerance,
            "residual": self.residual,
            "version": __version__,
        }

    @property
    def residual(self) -> float:
        """The largest relative residual of the draws solved; 0 where none is."""
        return float(self.rows.loc[self.solved, "residual"].max()) if self.solved.any() else 0.0

    def of(self, countries: str | Sequence[str]) -> pd.DataFrame:
        """Real income (percent) and equivalent variation of countries taken as one, a row a draw; NaN without a solution.

        Money adds up; the percentage is the sum of equivalent variations over the sum of spending. Raises `InputError` for
        unknown names.
        """
        codes = labels.resolve_countries(countries, self.ensemble.countries)
        worth, income = (
            self.rows[[f"{name}_{code}" for code in codes]].sum(axis=1, skipna=False)
            for name in ("equivalent_variation", "income_before")
        )
        return pd.DataFrame({"real_income": 100 * worth / income, "equivalent_variation": worth})

    @property
    def parties(self) -> list[tuple[str, str]]:
        """Name and code of whom a reader looks for first."""
        return main_parties(self.ensemble.countries, self.ensemble.after.focus)

    def bands(self, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
        """Percentiles over the draws solved: `party`, `code`, `quantity`, `unit`, and a column a level, p5 to p95.

        Raises `InputError` where no draw was solved.
        """
        return pd.DataFrame(self.band_rows(levels))

    def band_rows(self, levels: Sequence[float] = LEVELS) -> list[dict[str, Any]]:
        """The rows of `bands`."""
        if not self.solved.any():
            why = next(iter(self.failed.values()))
            raise InputError(f"None of {len(self)} draws has a solution. The first: {why}")
        rows = []
        for name, code in self.parties:
            for quantity, found in self.of(code)[self.solved].items():
                unit = "percent" if quantity == "real_income" else self.money
                percentiles = bands(found.to_numpy(), levels).tolist()
                told = {f"p{level:g}": value for level, value in zip(levels, percentiles, strict=True)}
                rows.append({"party": name, "code": code, "quantity": quantity, "unit": unit} | told)
        return rows

    def ranking(self, countries: str | Sequence[str]) -> Ranking:
        """What drives the real income of countries taken as one, for draws by `saltelli` (`draws.ranking`)."""
        return ranking(self.ensemble.draws, self.of(countries)["real_income"].to_numpy())

    @cached_property
    def rankings(self) -> dict[tuple[str, str], Ranking]:
        """{(name, code): ranking} of the parties whose real income the draws move; empty but for draws by `saltelli`."""
        if self.ensemble.method != SALTELLI or self._base_points < 2:
            return {}
        moved = [
            (name, code) for name, code in self.parties if np.ptp(self.of(code)["real_income"].dropna()) > 0
        ]
        return {(name, code): self.ranking(code) for name, code in moved}

    @property
    def _base_points(self) -> int:
        """Base points of which every draw has a solution."""
        return int(self.solved.reshape(self.ensemble.draws.points, -1).all(axis=1).sum())

    def summary(self) -> str:
        """The answer on a terminal: bands of the main parties, what drives the first of them, quality."""
        asked, draws = self.ensemble, self.ensemble.draws
        lines = [
            asked.after.title or self.scenario,
            f"{self.scenario} compared with {self.against}, over {len(self)} draws",
            "",
            f"drawn ({draws.method}, seed {draws.seed}):",
        ]
        lines += [f"  {self._drawn(name)}" for name in draws.names]
        lines += [draws.note] if draws.note else []
        if self.solved.any():
            lines += [x for quantity in QUANTITIES for x in ("", self._table(quantity))]
        for (name, _), found in list(self.rankings.items())[:1]:
            lines += ["", _drivers(name, found)]
        return "\n".join([*lines, "", *self._quality()])

    def _drawn(self, name: str) -> str:
        row = self.ensemble.ranges.rows[name]
        return f"{name}: {row.distribution}, {row.low:g} to {row.high:g} ({row.verification})"

    def _table(self, quantity: str) -> str:
        part = [row for row in self.band_rows() if row["quantity"] == quantity]
        told = format_percent if quantity == "real_income" else format_number
        levels = [f"p{level:g}" for level in LEVELS]
        rows = [[row["party"], *(told(row[level]) for level in levels)] for row in part]
        unit = "" if quantity == "real_income" else f" ({self.money})"
        head = [f"{QUANTITIES[quantity]}{unit}", *(f"{level:g} %" for level in LEVELS)]
        return table(head, rows, [34, *(11 for _ in levels)], range(1, len(head)))

    def _quality(self) -> list[str]:
        used, failed = self.provenance, self.failed
        lines = [
            f"{len(self) - len(failed)} of {len(self)} draws solved, largest residual {self.residual:.0e}"
        ]
        if failed:
            draw, why = next(iter(failed.items()))
            lines.append(f"{len(failed)} without a solution are in no band; the first is draw {draw}: {why}")
        told = f"deficits {used['closure']}; elasticities {used['elasticities']['name']}; horizon {used['horizon']['told']}"
        return [*lines, told, str(used["data"].get("title", "user's shares"))]

    def to_json(self) -> dict[str, Any]:
        """The object that `detente run --draws --json` prints; its keys stand in docs/json.md."""
        used, draws, rows = self.provenance, self.ensemble.draws, self.ensemble.ranges.rows
        keys = ("name", "distribution", "low", "central", "high", "source", "verification")
        drivers = [
            {"party": name, "code": code, "parameter": driver.name}
            | _shares(driver)
            | {"base_points": found.points, "left_out": found.left_out}
            for (name, code), found in self.rankings.items()
            for driver in found.drivers
        ]
        drawn = {
            "count": len(self),
            "asked": draws.asked,
            "seed": draws.seed,
            "method": draws.method,
            "note": draws.note,
        }
        return {
            "scenario": self.scenario,
            "against": self.against,
            "title": self.ensemble.after.title or self.scenario,
            "measures": self.ensemble.after.sentences(),
            "measures_against": self.ensemble.before.sentences(),
            "draws": drawn | {"solved": int(self.solved.sum())},
            "drawn": [{key: getattr(rows[name], key) for key in keys} for name in draws.names],
            "failed": [f"draw {k}: {why}" for k, why in self.failed.items()],
            "bands": self.band_rows() if self.solved.any() else [],
            "drivers": drivers,
            "residual": self.residual,
            "tolerance": used["tolerance"],
            "money": self.money,
            "data": used["data"],
            "parameters": {
                "elasticities": used["elasticities"],
                "horizon": {key: value for key, value in used["horizon"].items() if key != "sources"},
                "deficits": used["closure"],
            },
            "version": used["version"],
        }

    def __repr__(self) -> str:
        return self.summary()


def run(
    ensemble: Ensemble,
    out: str | os.PathLike[str] | None = None,
    *,
    scheduler: str | None = None,
    workers: int = 1,
    fresh: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Spread:
    """Solve all draws. Without `out` in this process and in memory; with it as a sweep in the folder `out/draws`.

    A sweep resumes where it was, and may use several processes or a dask scheduler (`sweep.run_sweep`, whose errors it
    raises). progress is told how many draws are done, and of how many. Raises `InputError` for workers without `out`.
    """
    report = progress or (lambda done, of: None)
    count, size = len(ensemble.draws), ensemble.block
    plan = ensemble.to_plan()
    if out is None:
        if scheduler or workers != 1 or fresh:
            raise InputError(
                "Several processes, a scheduler and `fresh` are for sweeps in a folder. Name one by `out`."
            )
        parts = []
        for block in range(ensemble.blocks):
            parts.append(pd.DataFrame(work(plan, block)))
            report(min((block + 1) * size, count), count)
        return Spread(ensemble, pd.concat(parts, ignore_index=True))
    options: Mapping[str, Any] = {"scheduler": scheduler, "workers": workers, "fresh": fresh}
    folder = Path(out) / DRAWS
    run_sweep(
        folder,
        plan,
        WORK,
        ensemble.blocks,
        **options,
        progress=lambda done, of: report(min(done * size, count), count),
    )
    rows = read_sweep(folder)
    rows.attrs = {}
    return Spread(ensemble, rows)


def _shares(driver: Driver) -> dict[str, float]:
    return {key: value for key, value in driver._asdict().items() if key != "name"}


def _drivers(name: str, found: Ranking) -> str:
    rows = [
        [
            each.name,
            f"{each.first:.2f} ± {each.first_confidence:.2f}",
            f"{each.total:.2f} ± {each.total_confidence:.2f}",
        ]
        for each in found.drivers
    ]
    head = [f"what drives {name}'s real income", "first", "total"]
    left = (
        f"\n{found.left_out} base points left out: a draw of theirs has no solution."
        if found.left_out
        else ""
    )
    return table(head, rows, [34, 14, 14], (1, 2)) + left
