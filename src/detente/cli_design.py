"""`detente design`: the cheapest pressure on a target, beside rules of thumb, and what in force presses least."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detente.terminal import busy, fill, table

if TYPE_CHECKING:
    from detente.plan import Compared, LawRow, Plan, Row


def design(
    target: Annotated[str, typer.Option(help="The country that is pressed.")] = "RUS",
    senders: Annotated[
        str, typer.Option(help="Who presses: countries or groups with commas between them.")
    ] = "EU27,USA,GBR,JPN",
    against: Annotated[
        str, typer.Option(help="Situation that the cuts come on top of: a scenario, a file, or baseline.")
    ] = "status-quo-2025",
    budget: Annotated[
        float | None, typer.Option(help="Own cost, USD billion a year, to spend on the most pressure.")
    ] = None,
    as_one: Annotated[
        bool, typer.Option("--as-one", help="A group's members cut alike, as the EU does.")
    ] = False,
    most: Annotated[float, typer.Option(help="The largest cut of a flow, above 0 and below 1.")] = 0.95,
    points: Annotated[int, typer.Option(help="Points of the frontier.")] = 9,
    starts: Annotated[int, typer.Option(help="Searches at each point, from different cuts.")] = 3,
    check: Annotated[
        int, typer.Option(help="Measures in force that are also taken out by solving anew; 0 for none.")
    ] = 20,
    world: Annotated[
        str | None,
        typer.Option(
            "--world", help="A world saved as .nc, `tiny` or `energy`. Default: the embedded table."
        ),
    ] = None,
    elasticities: Annotated[
        str, typer.Option(help="A named set, a number for all sectors, or a CSV file.")
    ] = "caliendo-parro-2015",
    horizon: Annotated[
        str, typer.Option(help="How much has adjusted: long, medium, short, or a YAML file.")
    ] = "long",
    out: Annotated[Path | None, typer.Option(help="Folder for the picture and tables.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else (docs/design.md).")
    ] = False,
) -> None:
    """Find the cuts that take most from a target for what they cost those who make them."""
    with busy("Reading the world") as told:
        from detente.calibration import calibrate
        from detente.plan import plan
        from detente.world import World

        economy = calibrate(World.load(world), elasticities, horizon=horizon)
        found = plan(
            economy, target, senders, against, budget=budget, as_one=as_one, most=most, points=points, starts=starts,
            check=check, progress=told,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print(found)
    if out is not None:
        _write(found, out, quiet=as_json)


def _write(found: "Plan", out: Path, *, quiet: bool) -> None:
    from detente.design_page import write_plan
    from detente.errors import InputError

    try:
        paths = write_plan(found, out)
    except OSError as problem:
        raise InputError(
            f"`--out {out}`: {problem.strerror or problem}. Name a folder that can be written."
        ) from None
    if not quiet:
        typer.echo("")
        for path in paths:
            typer.echo(str(path))


# Text -------------------------------------------------------------------------------------------------------


def _print(found: "Plan") -> None:
    from detente import labels

    goal = labels.country_name(found.target)
    head = (
        f"Pressure on {goal} by {', '.join(found.groups)}, on top of {found.against}: {found.task.count:,} cuts of up to "
        f"{100 * found.task.most:g} %, by sender, direction and sector, of trade worth "
        f"USD {found.task.flows.value.sum():.0f} billion a year. Loss and cost are equivalent variations "
        f"in USD billion a year; elasticities {found.elasticities}."
    )
    typer.echo(fill(head))
    typer.echo(f"\n{_frontier(found, goal)}")
    if found.chosen is not None:
        typer.echo(f"\n{_budget(found, goal)}")
    typer.echo(
        f"\nMost pressure for the next dollar, first order, flows of USD 0.1 billion or more\n\n{_next(found)}"
    )
    if found.in_force:
        typer.echo(
            f"\nLeast pressure for a dollar among cuts in force: ending them gives the senders most for each dollar "
            f"given to {goal}\n\n{_wasteful(found)}"
        )
    if found.measures:
        typer.echo(f"\nThe same by measure of law\n\n{_law(found)}\n\n{_check(found)}")


def _number(value: float | None, digits: int = 2) -> str:
    from detente.digits import format_number

    return "–" if value is None else format_number(value, digits=digits, sign=False)


def _margin(at: "Compared", rule: str) -> str:
    """`9.4, × 2.6`: what a rule of thumb reaches at the same cost, and how much more the frontier does."""
    other = at.rules[rule]
    if other is None or other.loss <= 0:
        return "–"
    return f"{_number(other.loss, 3)}, × {at.point.loss / other.loss:.2f}"


def _frontier(found: "Plan", goal: str) -> str:
    head = (
        "own cost",
        f"loss of {goal}",
        "the last dollar\nbrings",
        "uniform cuts at\nthis cost",
        "in proportion\nto trade",
        "starts differ\nby",
    )
    rows = [
        (
            _number(each.point.cost, 3),
            _number(each.point.loss, 3),
            f"{each.price:.2f}",
            _margin(each, "uniform"),
            _margin(each, "proportional"),
            _number(each.spread),
        )
        for each in found.points
    ]
    return table(head, rows, (9, 14, 15, 17, 17, 13), range(6))


def _budget(found: "Plan", goal: str) -> str:
    assert found.chosen is not None
    at, rules = found.chosen.point, found.chosen.rules
    full, none = (at.cuts > found.task.most - 0.01).sum(), (at.cuts < 0.01).sum()
    others = [
        f"{name} cuts {_number(other.loss, 3)}, which is {_number(at.loss - other.loss)} less"
        for name, other in rules.items()
        if other is not None
    ]
    own = ", ".join(f"{name} {_number(cost)}" for name, cost in found.own(at).items())
    compared = f" For no more than that, {', and '.join(others)}." if others else ""
    text = (
        f"Within a budget of {found.budget:g}: {goal} loses {_number(at.loss, 3)} for an own cost of "
        f"{_number(at.cost, 3)}.{compared} {full} cuts are at their largest, {none} are nil. Cost by sender: {own}."
    )
    return fill(text)


def _flow(row: "Row") -> str:
    from detente import labels

    name = labels.country_name(row.sender)
    return f"{name}, {row.direction}: {labels.sector_name(row.sector)}"


def _per_dollar(row: "Row | LawRow") -> str:
    return _number(row.loss / row.cost) if row.cost > 0 else "no cost"


def _next(found: "Plan") -> str:
    rows = [
        (_flow(row), _number(row.trade), _number(row.loss), _number(row.cost), _per_dollar(row))
        for row in found.next_cuts()
    ]
    head = ("", "trade", "loss of the\ntarget", "cost", "loss for a\ndollar")
    return table(head, rows, (60, 8, 11, 8, 10), range(1, 5))


def _wasteful(found: "Plan") -> str:
    rows = [
        (
            _flow(row),
            f"{100 * row.cut:.0f} %",
            _number(row.trade),
            _number(row.loss),
            _number(row.cost),
            _per_dollar(row),
        )
        for row in found.wasteful()
    ]
    head = ("", "cut", "trade left", "given to\nthe target", "to the\nsenders", "for a\ndollar")
    return table(head, rows, (56, 5, 10, 10, 8, 8), range(1, 6))


def _law(found: "Plan") -> str:
    rows = [
        (f"{row.title}\n{row.sender} · {row.id}", _number(row.loss), _number(row.cost), _per_dollar(row))
        for row in found.relief()
    ]
    head = ("", "given to\nthe target", "to the\nsenders", "for a\ndollar")
    return table(head, rows, (70, 10, 8, 8), range(1, 4))


def _check(found: "Plan") -> str:
    known = found.agreement()
    if not known:
        return "No measure was taken out by solving anew."
    count = sum(row.solved_loss is not None for row in found.measures)
    return fill(
        f"{count} of {len(found.measures)} measures, evenly over this ranking, taken out one by one by solving anew: "
        f"rank correlation with first order {known['loss']:.3f} for the target's loss and {known['cost']:.3f} for "
        "the senders' cost."
    )
