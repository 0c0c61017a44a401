"""`detente run --draws`: bands over draws of the parameters, and what drives them, on the terminal and in a folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from detente.errors import InputError
from detente.terminal import busy

if TYPE_CHECKING:
    from detente.ensemble import Ensemble
    from detente.scenario import Scenario


class Asked(NamedTuple):
    """The options of `--draws`, None where not given."""

    draws: int | None
    seed: int | None
    method: str | None
    parameters: str | None
    ranges: Path | None
    scheduler: str | None
    workers: int | None
    fresh: bool | None

    def wanted(self, **others: object) -> bool:
        """Whether draws are asked for. Raises `InputError` for an option that needs `--draws`, or does not go with it."""
        if self.draws is None:
            for name, value in self._asdict().items():
                if value is not None and value is not False:
                    raise InputError(f"`--{name}` needs `--draws`, the number of draws, as `--draws 200`.")
            return False
        for name, value in others.items():
            if value:
                raise InputError(
                    f"`--{name}` does not go with `--draws`: parameters are drawn from ranges. Leave it out, or give "
                    "ranges of your own by `--ranges` (docs/uncertainty.md)."
                )
        return True


class Setting(NamedTuple):
    """What is not drawn, as `detente run` takes it."""

    world: str | None
    elasticities: str
    deficits: str
    horizon: str | None
    sourcing: str
    tolerance: float


def run(
    asked: Asked, sides: "tuple[Scenario, Scenario]", setting: Setting, out: Path | None, as_json: bool
) -> None:
    """Draw, solve, and print the bands; with `out` the sweep and the files lie there."""
    with busy("Reading the world") as text:
        from detente import spread
        from detente.errors import ConvergenceError

        ensemble = _ensemble(asked, sides, setting)
        text("Solving the first draws")
        found = spread.run(
            ensemble,
            out,
            scheduler=asked.scheduler,
            workers=asked.workers or 1,
            fresh=bool(asked.fresh),
            progress=lambda done, of: text(f"Solved {done} of {of} draws"),
        )
        if out is not None and found.solved.any():
            from detente.spread_report import write

            text("Writing the files")
            write(found, out)
    typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False) if as_json else found.summary())
    if not found.solved.any():
        raise ConvergenceError(f"None of {len(found)} draws has a solution.")
    if out is not None and not as_json:
        typer.echo(f"\nFiles: {out / 'bands.csv'}, spread.json, charts, draws")


def _ensemble(asked: Asked, sides: "tuple[Scenario, Scenario]", setting: Setting) -> "Ensemble":
    from detente.draws import LATIN
    from detente.ensemble import Ensemble
    from detente.ranges import CUTS
    from detente.sizes import CENTRAL

    after, before = sides
    if asked.ranges is not None and setting.horizon is not None:
        raise InputError(
            "`--horizon` and `--ranges` both say which ranges hold. Name the horizon in the file, as `base`."
        )
    made = Ensemble.of(
        after,
        asked.draws or 0,
        against=before,
        ranges=str(asked.ranges) if asked.ranges is not None else setting.horizon,
        parameters=[name.strip() for name in (asked.parameters or "").split(",") if name.strip()],
        seed=asked.seed or 0,
        method=asked.method or LATIN,
        world=setting.world,
        elasticities=setting.elasticities,
        deficits=setting.deficits,
        sourcing=setting.sourcing,
        tolerance=setting.tolerance,
    )
    if CUTS in made.ranges.drawn and after.cuts != CENTRAL:
        raise InputError(
            f"`--cuts {after.cuts}` does not go with `{CUTS}`, which is drawn. Leave one out (`--parameters`)."
        )
    return made
