"""`detente path --draws`: paths over draws of parameters, bands by year on the terminal and in a folder."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from detente.digits import format_number
from detente.errors import InputError
from detente.terminal import busy, fill, table

if TYPE_CHECKING:
    from detente.course import Settings
    from detente.economy import Economy
    from detente.fan import Fan
    from detente.scenario import Scenario

MOST = 4  # years that the bands have room for
FAILURES = 5  # draws without a solution that are shown with their reason


class Asked(NamedTuple):
    """The options of `--draws`, None where not given."""

    draws: int | None
    seed: int | None
    parameters: str | None
    ranges: Path | None

    def wanted(self, **others: object) -> bool:
        """Whether draws are asked for. Raises `InputError` for an option that needs `--draws`, or does not go with it."""
        if self.draws is None:
            for name, value in self._asdict().items():
                if value is not None:
                    raise InputError(f"`--{name}` needs `--draws`, the number of draws, as `--draws 200`.")
            return False
        for name, value in others.items():
            if value:
                raise InputError(
                    f"`--{name.replace('_', '-')}` does not go with `--draws`. Leave one of them out."
                )
        return True


class Question(NamedTuple):
    """What is followed: scenario, what to compare with, years, settings, and scenarios that take over."""

    scenario: str
    against: str | None
    years: list[int]
    settings: "Settings"
    then: "dict[int, Scenario]"


def run(
    asked: Asked, question: Question, economy: "Economy", horizon: str, out: Path | None, as_json: bool
) -> None:
    """Draw, follow, and print the bands; with `out` the files lie there."""
    if asked.ranges is not None and horizon != "long":
        raise InputError(
            "`--horizon` and `--ranges` both say which ranges hold. Name the horizon in the file, as `base`."
        )
    with busy("Following the paths") as text:
        from detente.fan import simulate_paths

        found = simulate_paths(
            economy,
            question.scenario,
            question.against,
            draws=asked.draws or 0,
            years=question.years,
            seed=asked.seed or 0,
            ranges=str(asked.ranges) if asked.ranges is not None else horizon,
            parameters=[name.strip() for name in (asked.parameters or "").split(",") if name.strip()],
            settings=question.settings,
            then=question.then,
            progress=lambda done: text(f"Followed {done} of {asked.draws} draws"),
        )
        if out is not None:
            text("Writing the files")
            write(found, out)
    typer.echo(json.dumps(to_json(found), indent=1, allow_nan=False) if as_json else summary(found))
    if out is not None and not as_json:
        typer.echo(f"\nPictures and tables: {out}")


def summary(found: "Fan") -> str:
    """What was drawn, bands of real income by year, draws that failed, and what was reckoned with."""
    central = found.central
    base, name = central.names[:2]
    span = f"{found.years[0]} to {found.years[-1]}"
    head = f"{name}: against {base}, {span}, over {len(found)} draws ({found.draws.method}, seed {found.draws.seed})"
    drawn = "\n".join(_drawn(found))
    told = f"{central.settings.told}; deficits {central.economy.closure}; horizon {found.ranges.horizon.told}, drawn"
    if found.lopsided:
        told = f"The central path has {', '.join(found.lopsided)} at an end of the range drawn; {told}"
    return "\n\n".join([fill(head), f"drawn:\n{drawn}", _bands(found), _solved(found), fill(told)])


def _drawn(found: "Fan") -> list[str]:
    rows = [found.ranges.rows[name] for name in found.ranges.drawn]
    lines = [
        f"  {row.name}: {row.distribution}, {row.low:g} to {row.high:g} ({row.verification})"
        for row in rows
        if not _figure(row.name)
    ]
    figures = [row.name.removesuffix("_position") for row in rows if _figure(row.name)]
    more = "positions from 0 to 1 in the ranges of these figures, triangular: " + ", ".join(figures)
    return [*lines, fill(f"  {more}", "    ")] if figures else lines


def _figure(name: str) -> bool:
    return name.endswith("_position") and name != "cuts_position"


def shown_years(found: "Fan") -> list[int]:
    """The first year that differs, the last, and two between."""
    begins, last = found.central.begins(1), found.years[-1]
    return sorted({year for year in (begins, begins + 2, begins + 5, last) if year <= last})[-MOST:]


def _bands(found: "Fan") -> str:
    years, rows = shown_years(found), []
    at = [found.years.index(year) for year in years]
    for party, code in found.central.parties():
        middle, ends = found.central.group(code)[1], found.bands(code, levels=(5, 25, 75, 95))
        rows.append([party, "central", *(format_number(middle[t]) for t in at)])
        for told, low, high in (("25–75 %", 1, 2), ("5–95 %", 0, 3)):
            rows.append(
                ["", told, *(f"{format_number(ends[low, t])} … {format_number(ends[high, t])}" for t in at)]
            )
    head = ["real income, %", "", *map(str, years)]
    return table(head, rows, [20, 8, *(18 for _ in years)], range(2, len(head)))


def _solved(found: "Fan") -> str:
    text = f"{found.solved.sum()} of {len(found)} draws solved, largest residual {found.residual:.0e}"
    if not found.failed:
        return text
    lines = [f"{text}; without a solution, and in no band:"]
    lines += [f"  draw {k}: {why}" for k, why in list(found.failed.items())[:FAILURES]]
    rest = len(found.failed) - FAILURES
    return "\n".join(fill(line, "    ") for line in [*lines, *([f"  and {rest} more"] if rest > 0 else [])])


def to_json(found: "Fan") -> dict[str, Any]:
    """Bands as plain data: by party, quantity and level, a number a year (docs/paths.md)."""
    from detente.draws import LEVELS

    parties: dict[str, Any] = {}
    for _, code in found.central.parties():
        parties[code] = {}
        for name in found.values:
            ends = found.bands(code, name)
            levels = {f"p{level:g}": row.tolist() for level, row in zip(LEVELS, ends, strict=True)}
            parties[code][name] = {"central": found.central.group(code, name)[1].tolist()} | levels
    return {
        "scenario": found.central.names[1],
        "against": found.central.names[0],
        "target": found.central.target,
        "years": list(found.years),
        "draws": {"n": len(found), "seed": found.draws.seed, "method": found.draws.method},
        "drawn": list(found.draws.names),
        "failed": {str(k): why for k, why in found.failed.items()},
        "residual": found.residual,
        "settings": found.central.settings.told,
        "parties": parties,
    }


def write(found: "Fan", out: Path) -> None:
    """Write bands.csv, draws.csv (each draw's parameters and real income), bands.json, bands.svg and bands.png.

    Raises `InputError` where the folder cannot be written to.
    """
    from detente.charts import save_chart
    from detente.drawing import write_atomically
    from detente.fan_chart import bands_spec

    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / "bands.csv", _csv(found.rows()))
        write_atomically(out / "draws.csv", _csv(_each(found)))
        write_atomically(out / "bands.json", json.dumps(to_json(found), indent=1, allow_nan=False))
        for ending in ("svg", "png"):
            save_chart(bands_spec(found), out / f"bands.{ending}")
    except OSError as problem:
        raise InputError(
            f"`--out {out}`: writing failed: {problem.strerror or problem}. Name another folder."
        ) from None


def _each(found: "Fan") -> list[dict[str, Any]]:
    """One row a draw: parameters, why it failed, and real income of each party by year, percent."""
    income = {code: found.of(code) for _, code in found.central.parties()}
    rows = []
    for k in range(len(found)):
        row = {"draw": k, **found.draws[k], "message": found.failed.get(k, "")}
        for code, values in income.items():
            told = [("" if k in found.failed else float(x)) for x in values[k]]
            row |= {f"real_income_{code}_{year}": x for year, x in zip(found.years, told, strict=True)}
        rows.append(row)
    return rows


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
