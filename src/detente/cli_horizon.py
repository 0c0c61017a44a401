"""`detente horizon`: the named horizons, their values with ranges and sources, and the elasticities they imply."""

from typing import TYPE_CHECKING, Annotated

import typer

from detente.errors import InputError
from detente.terminal import busy, fill, table

if TYPE_CHECKING:
    from detente.horizon import Horizon

app = typer.Typer(
    help="How easily producers, households and factors adjust: named sets of parameters.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="A horizon's name, as `list` prints it, or a YAML file.")]
Override = Annotated[
    list[str] | None, typer.Option("--set", help="A value of your own, as inputs=0.1; may be repeated.")
]


@app.command("list")
def list_horizons() -> None:
    """List the horizons that ship, and the named sets of the oil market."""
    from detente.horizon import oil_sets, shipped

    width = max(map(len, shipped())) + 2
    for name, entry in shipped().items():
        other = f" (also {', '.join(entry['aliases'])})" if entry["aliases"] else ""
        typer.echo(fill(f"{name:{width}}{entry['title']}{other}. {entry['about'].strip()}", " " * width))
    typer.echo("\nSets of the oil market, for `oil=` (supply) and `oil_demand=` (demand):")
    width = max(map(len, oil_sets())) + 2
    for name, entry in oil_sets().items():
        typer.echo(f"{name:{width}}supply {entry['supply']:g}, demand {_minus(entry['demand'])}")
    typer.echo(
        "\n`detente horizon show NAME` prints values and sources; `detente run … --horizon NAME` uses one."
    )


@app.command()
def show(name: Name, changes: Override = None) -> None:
    """Print a horizon's values, with range, source, and how far each is verified."""
    from detente.horizon import number, parameters

    found = chosen(name, changes)
    typer.echo(f"{found.told}: {found.title}\n")
    about = parameters()
    sources = list(dict.fromkeys(value.source for value in found.values.values()))
    rows = [
        (
            key,
            about[key]["symbol"],
            about[key]["meaning"],
            number(value.value),
            number(value.low) if value.low == value.high else f"{number(value.low)} to {number(value.high)}",
            f"[{sources.index(value.source) + 1}]",
            value.status,
        )
        for key, value in found.values.items()
    ]
    head = ("key", "", "meaning", "value", "range", "", "")
    typer.echo(table(head, rows, (22, 4, 42, 8, 12, 3, 10), (3,)))
    typer.echo("")
    for place, source in enumerate(sources, start=1):
        typer.echo(fill(f"[{place}] {source}", "    "))
    missing = [about[key]["meaning"] for key in about if key not in found.values]
    if missing:
        typer.echo(fill(f"\nNot set, so that these sectors are as any other: {', '.join(missing)}."))


@app.command()
def implied(
    name: Name = "long",
    changes: Override = None,
    world: Annotated[
        str | None,
        typer.Option("--world", help="A world saved as .nc, or `tiny`. Default: the embedded table."),
    ] = None,
) -> None:
    """Print the supply and demand elasticities that a horizon implies for energy and mining, beside the named sets.

    Demand holds the output of all users; derived demand lets the prices of what they make follow, and their sales."""
    found = chosen(name, changes)
    with busy("Reading the world"):
        from detente.calibration import calibrate
        from detente.demand import derived_demand
        from detente.horizon import oil_sets, responding
        from detente.implied import responses
        from detente.world import World

        economy = calibrate(World.load(world), horizon=found)
    typer.echo(
        f"{found.told}: growth of quantities for a percent on the price, mean and range over countries\n"
    )
    asked, names = responding(found, economy.sectors)
    rows = [
        (*row, f"{derived_demand(economy, (economy.sectors.index(code),)):.2f}".replace("-", "−"))
        for code, row in zip(names, responses(economy, asked, names), strict=True)
    ]
    head = ("sector", "asked", "supply", "range", "demand", "range", "derived")
    typer.echo(table(head, rows, (26, 6, 9, 16, 8, 16, 8), (1, 2, 4, 6)))
    typer.echo("")
    for title, entry in oil_sets().items():
        typer.echo(f"{title}: supply of oil {entry['supply']:g}, demand {_minus(entry['demand'])}")


def chosen(name: str, changes: list[str] | None) -> "Horizon":
    """The horizon of `--horizon` and `--set`. Raises `InputError` for a change that is no `key=value`."""
    from detente.horizon import Horizon

    given: dict[str, float | str] = {}
    for change in changes or ():
        key, sign, value = (part.strip() for part in change.partition("="))
        if not sign or not key or not value:
            raise InputError(f"`--set {change}`: expected a key and a value, as inputs=0.1.")
        if key in given:
            raise InputError(f"`--set {change}`: `{key}` is set twice. Remove one.")
        try:
            given[key] = float(value)
        except ValueError:
            given[key] = value
    return Horizon.load(name).changed(given)


def _minus(value: float) -> str:
    return f"{value:g}".replace("-", "−")
