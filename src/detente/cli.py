"""The command line: thin skins over the functions of the package, one table of exit codes.

Nothing heavy is imported until a command needs it, so that `detente --help` answers at once.
Exit codes: 0 done; 2 input that cannot be used; 3 no equilibrium.
"""

import gc
import json
import os
import sys
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detente import (
    cli_coalition,
    cli_design,
    cli_diff,
    cli_draws,
    cli_evidence,
    cli_horizon,
    cli_path,
    cli_regime,
    cli_study,
)
from detente.errors import ConvergenceError, DetenteError, InputError
from detente.terminal import busy, fill, table
from detente.version import __version__

if TYPE_CHECKING:
    from detente.comparison import Comparison
    from detente.horizon import Horizon
    from detente.replication import Nafta
    from detente.scenario import Scenario
    from detente.world import World

UNCOLLECTED = 100_000  # new objects before cycles are looked for: most of what a command makes lives on

app = typer.Typer(
    name="detente",
    help="What happens when sanctions are imposed, or lifted, by some and kept by others.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
replicate = typer.Typer(
    help="Published results computed again, beside the published figures.", rich_markup_mode=None
)
app.command("coalition")(cli_coalition.coalition)
app.command("design")(cli_design.design)
app.command("diff")(cli_diff.diff)
app.command("path")(cli_path.path)
app.command("study")(cli_study.study)
app.add_typer(cli_horizon.app, name="horizon")
app.add_typer(cli_regime.app, name="regime")
app.add_typer(cli_evidence.app, name="evidence")
app.add_typer(replicate, name="replicate")

WorldFile = Annotated[
    str | None,
    typer.Option(
        "--world",
        help="A world saved as .nc, `tiny`, or `energy` (crude oil, gas and LNG apart). "
        "Default: the one the scenario needs, else the embedded table.",
    ),
]


def _world(path: str | None) -> "World":
    from detente.world import World

    return World.load(path)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"détente {__version__}")
        raise typer.Exit


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")],
    world: WorldFile = None,
    elasticities: Annotated[
        str, typer.Option(help="A named set, a number for all sectors, or a CSV file.")
    ] = "caliendo-parro-2015",
    deficits: Annotated[
        str, typer.Option(help="share-of-world, share-of-own, balanced or fixed.")
    ] = "share-of-world",
    horizon: Annotated[
        str | None,
        typer.Option(
            help="How much has adjusted: long, medium, short, energy-crisis, or a YAML file. "
            "Default: the one the scenario names, else long."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the horizon, as inputs=0.1; may be repeated."),
    ] = None,
    sourcing: Annotated[
        str, typer.Option(help="Import mixes: common, one for all buyers of a country, or by-use.")
    ] = "common",
    against: Annotated[
        str | None, typer.Option(help="Situation to compare with. Default: the one the scenario names.")
    ] = None,
    opec: Annotated[
        str | None,
        typer.Option(help="What OPEC+ does, in place of the scenario: none, hold-price or hold-volume."),
    ] = None,
    cuts: Annotated[
        str,
        typer.Option(
            help="Where in its range each size is taken: low, central, high, or a number from 0 to 1."
        ),
    ] = "central",
    out: Annotated[Path | None, typer.Option(help="Folder for the report, charts and tables.")] = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative residual accepted.")] = 1e-10,
    split: Annotated[
        bool, typer.Option("--split", help="Say where each change in real income comes from, part by part.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else (docs/json.md).")
    ] = False,
    cite: Annotated[
        bool, typer.Option("--cite", help="Print the data, elasticities and methods that this run used.")
    ] = False,
    draws: Annotated[
        int | None, typer.Option(help="Bands over so many draws of parameters from their ranges.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draws; default 0.")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="latin-hypercube (default), sobol, or saltelli, which also ranks what drives it."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(help="Which are drawn, with commas; default all that have a range.")
    ] = None,
    ranges: Annotated[
        Path | None, typer.Option(help="A YAML file of ranges in place of the horizon's.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A dask scheduler that solves the draws, as tcp://host:8786; needs --out."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes of this machine that solve the draws; needs --out.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove the draws that the folder has, in place of going on.")
    ] = False,
) -> None:
    """Compute who trades more, who gains and who loses under a scenario."""
    if not 0 < tolerance < 1:
        raise InputError(f"`--tolerance` is {tolerance:g}; expected between 0 and 1, for instance 1e-10.")
    if out is not None:
        _refuse_unwritable(out)
        from detente.report import prepare

        prepare()
    sides = _sides(scenario, against, opec, cuts)
    asked = cli_draws.Asked(draws, seed, method, parameters, ranges, scheduler, workers, fresh)
    if asked.wanted(set=changes, split=split, cite=cite):
        setting = cli_draws.Setting(world, elasticities, deficits, horizon, sourcing, tolerance)
        return cli_draws.run(asked, sides, setting, out, as_json)
    named = next((side.horizon for side in sides if side.horizon), "long")
    adjusting = cli_horizon.chosen(horizon or named, changes)
    outcome = _compute(sides, world, (elasticities, deficits, adjusting, sourcing), tolerance)
    if out is not None:
        _write(outcome, out)
    if as_json:
        more = {"citations": outcome.citations()} if cite else {}
        more |= {"welfare_split": _split_json(outcome)} if split else {}
        typer.echo(json.dumps(outcome.to_json() | more, indent=1, allow_nan=False))
        return
    typer.echo(outcome.summary())
    if split:
        typer.echo(f"\n{_split_text(outcome)}")
    if cite:
        typer.echo("\nThis run used:")
        for line in outcome.citations():
            typer.echo(f"  {line}")
    if out is not None:
        typer.echo(f"\nReport: {out / 'report.html'}")


def _split_text(outcome: "Comparison") -> str:
    """The welfare split of the main parties, percent of spending."""
    from detente.digits import format_percent
    from detente.tables import default_parties, split_rows, split_shown

    parties = default_parties(outcome, outcome.focus)
    with busy("Solving along the way"):
        rows = split_rows(outcome, [name for names in parties.values() for name in names])
    shown = split_shown(rows)
    head = ["where it comes from", "real income", *(title.lower() for title in shown.values())]
    cells = [
        [row["name"], *(format_percent(value) for value in (row["total"], *(row[part] for part in shown)))]
        for row in rows
    ]
    return table(head, cells, [24, 11, *(11 for _ in shown)], range(1, len(head)))


def _split_json(outcome: "Comparison") -> dict[str, dict[str, dict[str, float]]]:
    """{real_income or equivalent_variation: {part: {country: number}}}."""
    found = outcome.welfare_split()
    return {
        str(name): {
            str(part): {str(code): float(value) for code, value in array.sel(part=part).to_series().items()}
            for part in found["part"].values
        }
        for name, array in found.items()
    }


def _sides(scenario: str, against: str | None, opec: str | None, cuts: str) -> "tuple[Scenario, Scenario]":
    """The situation and the one it is compared with; producers' rule in both, but for the data year as it is."""
    with busy("Reading the scenario"):
        from detente.scenario import BASELINE, Scenario, with_producers

        wanted = replace(Scenario.load(scenario), cuts=cuts)
        compared = replace(Scenario.load(wanted.against if against is None else against), cuts=cuts)
        if opec is None:
            return wanted, compared
        changed = with_producers(wanted, opec)
        return changed, compared if compared.name == BASELINE else with_producers(compared, opec)


def _compute(
    sides: "tuple[Scenario, Scenario]",
    world: str | None,
    behaviour: "tuple[str, str, Horizon, str]",
    tolerance: float,
) -> "Comparison":
    """behaviour: trade elasticities, closure of deficits, horizon, sourcing, as `calibrate` takes them."""
    with busy("Reading the world"):
        from detente.calibration import calibrate
        from detente.prospect import simulate

        chosen = world or next((side.world for side in sides if side.world), None)
        economy = calibrate(_world(chosen), *behaviour)
    with busy("Solving"):
        return simulate(economy, *sides, tolerance=tolerance)


def _refuse_unwritable(out: Path) -> None:
    """Raises `InputError`, before anything is computed, where the report could not be written."""
    present = next(place for place in (out, *out.absolute().parents) if os.path.exists(place))
    if not present.is_dir():
        raise InputError(f"`--out {out}`: `{present}` is a file; expected a folder (it is made if missing).")
    if not os.access(present, os.W_OK | os.X_OK):
        raise InputError(f"`--out {out}`: nothing may be written in `{present}`. Name another folder.")


def _write(outcome: "Comparison", out: Path) -> None:
    with busy("Writing the report"):
        from detente.report import write_report

        try:
            write_report(outcome, out)
        except OSError as problem:
            raise InputError(
                f"`--out {out}`: writing the report failed: {problem.strerror or problem}. "
                "Name another folder."
            ) from None


@app.command()
def scenarios() -> None:
    """List the scenarios that ship."""
    from detente.scenario import Scenario, available

    width = max(map(len, available())) + 2
    for name in available():
        scenario = Scenario.load(name)
        typer.echo(fill(f"{name:{width}}{scenario.title} (against {scenario.against})", " " * width))
    typer.echo("\n`detente show NAME` prints one in sentences; `detente run NAME` computes it.")


@app.command()
def show(scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")]) -> None:
    """Print a scenario in sentences, one a measure, with sources."""
    from detente.scenario import Scenario

    found = Scenario.load(scenario)
    typer.echo(fill(str(found), "    "))
    if found.description:
        typer.echo(f"\n{fill(found.description.strip())}")
    typer.echo(f"\nCompared with: {found.against}")
    sources = [" ".join(getattr(step, "source", "").split()) for step in found.steps()]
    for source in filter(None, dict.fromkeys(sources)):
        typer.echo(fill(f"Source: {source}", "  "))


@app.command("world")
def describe_world(
    world: WorldFile = None,
    codes: Annotated[bool, typer.Option("--codes", help="List country, sector and group codes.")] = False,
) -> None:
    """Describe the data: size, year, source, licence, and the limits a user must know."""
    from detente import labels

    found = _world(world)
    attrs = found.data.attrs
    typer.echo(repr(found))
    for key in ("source", "licence", "attribution"):
        if attrs.get(key):
            typer.echo(f"{key.capitalize()}: {attrs[key]}")
    limits = [line for line in str(attrs.get("limits", "")).splitlines() if line]
    if limits:
        typer.echo("\nLimits to know:")
        for line in limits:
            typer.echo(f"  · {line}")
    if codes:
        typer.echo("\nCountries: " + ", ".join(f"{c} {labels.country_name(c)}" for c in found.countries))
        typer.echo("\nSectors: " + ", ".join(f"{s} {labels.sector_name(s)}" for s in found.sectors))
        for kind, groups in (("Country", labels.country_groups()), ("Sector", labels.sector_groups())):
            typer.echo(f"\n{kind} groups:")
            for name in groups:
                typer.echo(f"  {name}: {labels.describe_group(name)}")


@replicate.command("nafta")
def replicate_nafta(
    data: Annotated[Path, typer.Option(help="Folder with nafta_cp2015_raw.npz, the 1993 data of the paper.")],
) -> None:
    """Caliendo & Parro (2015, table 2): NAFTA's tariff cuts, published figures and ours side by side."""
    with busy("Solving the world of 1993 without and with NAFTA"):
        from detente.replication import replicate_nafta as compute

        result = compute(data)
    _print_published(result)
    _print_all(result)
    if not result.agrees():
        raise ConvergenceError("The replication missed a published figure; see the table above.")


def _print_published(result: "Nafta") -> None:
    columns = ["terms_of_trade", "volume_of_trade", "welfare", "real_wage"]
    typer.echo("NAFTA's tariffs of 2005 on the world of 1993, percent. First-order formula of the paper:\n")
    typer.echo(f"{'':10}" + "".join(f"{name.replace('_', ' '):>27}" for name in columns))
    typer.echo(f"{'':10}" + f"{'published':>16}{'ours':>11}" * len(columns))
    for code in result.published.index:
        pairs = ((result.published.loc[code, name], result.table.loc[code, name]) for name in columns)
        typer.echo(f"{code!s:10}" + "".join(f"{theirs:>16.2f}{ours:>11.4f}" for theirs, ours in pairs))
    verdict = "agree" if result.agrees() else "DO NOT agree"
    typer.echo(f"\nAll twelve figures {verdict} with the published two decimals.")


def _print_all(result: "Nafta") -> None:
    typer.echo(
        "\n`welfare` is the paper's first-order formula, evaluated once: it values all additional imports at "
        "the tariff\nof 1993, which falls away as they come. `real income` is exact.\n"
    )
    names = ["real_income", "welfare", "terms_of_trade", "volume_of_trade", "real_wage", "bloc_imports"]
    typer.echo(f"{'':6}" + "".join(f"{name.replace('_', ' '):>17}" for name in names))
    for code, row in result.table[names].iterrows():
        typer.echo(
            f"{code!s:6}" + "".join(f"{value:>17.4f}" if value == value else f"{'':>17}" for value in row)
        )


def main() -> None:
    """Entry point: a refusal becomes one paragraph on standard error and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without − or ≈ shows ? instead of failing
    gc.set_threshold(UNCOLLECTED)
    try:
        app()
    except DetenteError as problem:
        typer.echo(f"detente: {problem}", err=True)
        sys.exit(problem.exit_code)
