"""`detente coalition`: who presses the target, who pays, and who keeps after an exit, on the terminal and as files."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detente.errors import InputError
from detente.terminal import busy, fill, table

if TYPE_CHECKING:
    from detente.course import Settings
    from detente.findings import Finding, Question
    from detente.scenario import Scenario
    from detente.senders import Coalition

SETS = "caliendo-parro-2015,uniform-4"
MEMBERS = "USA,EU27,GBR,JPN,CAN,AUS,KOR,CHE,NOR,NZL"
COURSES = 12  # ends by λ that the terminal shows; all of them are in the JSON
HEADINGS = {
    "C8": "Are those who stay left out in the rain?",
    "C9": "Does the rest hold?",
    "C17": "Who bears the cost?",
}


def coalition(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")],
    members: Annotated[
        str, typer.Option(help="Senders that keep or lift, countries or groups, with commas between them.")
    ] = MEMBERS,
    target: Annotated[str, typer.Option(help="On whom.")] = "RUS",
    leaving: Annotated[
        str | None,
        typer.Option(
            "--exit", help="Who leaves, `none` for nobody. Default: the members that the scenario makes lift."
        ),
    ] = None,
    worth: Annotated[
        str | None,
        typer.Option(
            "--lambda", help="What a dollar of the target's loss is worth to a member; several with commas."
        ),
    ] = None,
    veto: Annotated[
        bool,
        typer.Option("--veto", help="Blocs renew by unanimity: one state that gains from lifting ends it."),
    ] = False,
    intensities: Annotated[
        bool,
        typer.Option(
            "--intensities", help="Intensities between lift and keep too, at each --lambda (slower)."
        ),
    ] = False,
    over_time: Annotated[
        bool,
        typer.Option(
            "--over-time", help="The exit over years too, beside that of one year: capital, owners, memory."
        ),
    ] = False,
    last: Annotated[int, typer.Option("--to", help="Last year of --over-time.")] = 2035,
    decision: Annotated[
        int | None,
        typer.Option(help="Year from which members may have lifted. Default: that of the scenario's day."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Rate of discount a year, of --over-time.")] = 0.03,
    foreign_capital: Annotated[
        str, typer.Option("--foreign-capital", help="on or off, of --over-time.")
    ] = "on",
    end: Annotated[
        str, typer.Option(help="Which end of the figures on capital, of --over-time: value, low or high.")
    ] = "value",
    elasticities: Annotated[
        str,
        typer.Option(help="Named sets, numbers or CSV files, with commas between them; results are ranges."),
    ] = SETS,
    deficits: Annotated[
        str, typer.Option(help="share-of-world, share-of-own, balanced or fixed.")
    ] = "share-of-world",
    horizon: Annotated[
        str | None,
        typer.Option(help="How much has adjusted. Default: the one the scenario names, else long."),
    ] = None,
    world: Annotated[
        str | None,
        typer.Option(
            help="A world saved as .nc, `tiny`, or `energy`. Default: the one the scenario needs, else the table."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, charts and the JSON.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else (docs/coalition.md).")
    ] = False,
) -> None:
    """Solve every coalition of senders: pressure, cost, who is pivotal, and who keeps after an exit."""
    worths = _numbers(worth)
    if intensities and not worths:
        raise InputError(
            "`--intensities` needs `--lambda`: what a dollar of the target's loss is worth, as 0.6."
        )
    sets = [name.strip() for name in elasticities.split(",") if name.strip()]
    if not sets:
        raise InputError(f"`--elasticities {elasticities}` names no set; expected one or more, as {SETS}.")
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"`--out {out}` is a file; expected a folder (it is made if missing).")
    asked, behaviour = (scenario, members, target, leaving), (sets, deficits, horizon, world)
    pace = _pace(last, rate, foreign_capital, end) if over_time else None
    solved, question, found = _compute(asked, behaviour, (worths, veto, intensities))
    content = _content(solved, question, found)
    if pace is not None:
        content["over_time"] = _over_time(solved, question, found, scenario, (*pace, decision))
    if out is not None:
        _write(content, solved, out)
    if as_json:
        typer.echo(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False))
        return
    if pace is not None:
        _print_years(content)
    else:
        _print(solved, question, found, content)
    if out is not None:
        typer.echo(f"\nTables, charts and coalition.json: {out}")


def _numbers(given: str | None) -> tuple[float, ...]:
    """The λs of `--lambda`. Raises `InputError` for what is no number of at least 0."""
    try:
        found = tuple(float(part) for part in (given or "").split(",") if part.strip())
    except ValueError:
        found = (-1.0,)
    if not all(0 <= value < float("inf") for value in found):
        raise InputError(
            f"`--lambda {given}`: expected numbers of at least 0 with commas between them, as 0.5,0.7."
        )
    return found


def _compute(
    asked: tuple[str, str, str, str | None],
    behaviour: tuple[list[str], str, str | None, str | None],
    more: "tuple[tuple[float, ...], bool, bool]",
) -> "tuple[list[Coalition], Question, list[Finding]]":
    """Every reading solved, what is asked of them, and the findings."""
    name, members, target, leaving = asked
    sets, deficits, horizon, world = behaviour
    with busy("Reading the world") as progress:
        from detente import senders as solver
        from detente.calibration import calibrate
        from detente.findings import Question, finding
        from detente.roster import roster
        from detente.scenario import Scenario
        from detente.world import World

        scenario = Scenario.load(name)
        data = World.load(world or scenario.world or None)
        solved: list[Coalition] = []
        found: list[Finding] = []
        question = Question()
        for each in sets:
            economy = calibrate(data, each, deficits, horizon or scenario.horizon or "long")
            if not solved:
                exits = _exits(leaving, scenario, roster(economy, members, target), economy.countries)
                question = Question(exits, *more)
            solved.append(
                solver.coalition(
                    economy, scenario, members, target,
                    progress=lambda done, each=each: progress(f"{each}: {done} coalitions"),
                )
            )  # fmt: skip
            progress(f"{each}: the game")
            found.append(finding(solved[-1], each, question))
    return solved, question, found


def _exits(leaving: str | None, scenario: "Scenario", who: Any, countries: Sequence[str]) -> tuple[int, ...]:
    """Places of those who leave. Raises `InputError` for one that is no member."""
    from detente.errors import unknown_name
    from detente.roster import canonical, leavers

    if leaving is None:
        return leavers(scenario, who, countries)
    names = [] if leaving.strip().casefold() == "none" else [part.strip() for part in leaving.split(",")]
    found = []
    for name in filter(None, names):
        code = canonical(name, countries)
        if code not in who.names:
            raise unknown_name("member", code, who.names, "Only a member can leave.")
        found.append(who.names.index(code))
    return tuple(dict.fromkeys(found))


# Over years ------------------------------------------------------------------------------------------------


def _pace(last: int, rate: float, foreign: str, end: str) -> "tuple[list[int], Settings]":
    """The years, and what links them. Raises `InputError` for an option that cannot be used."""
    from detente.course import Settings
    from detente.schedule import span

    if foreign not in ("on", "off"):
        raise InputError(f"`--foreign-capital` is `{foreign}`; expected on or off.")
    if end not in ("value", "low", "high"):
        raise InputError(f"`--end` is `{end}`; expected value, low or high.")
    return span(2022, last), Settings(rate=rate, foreign=foreign == "on", end=end)


def _over_time(
    solved: "Sequence[Coalition]",
    question: "Question",
    found: "Sequence[Finding]",
    scenario: str,
    pace: "tuple[list[int], Settings, int | None]",
) -> "Finding":
    """What the JSON has under `over_time`; keys in docs/coalition.md."""
    years, settings, decision = pace
    with busy("Following the coalitions") as progress:
        from detente import endurance

        sets = [each["elasticities"] for each in found]
        readings = endurance.compare(
            solved, sets, scenario, question.exits, years=years, decision=decision, settings=settings,
            progress=progress,
        )  # fmt: skip
    return {
        "years": readings[0]["years"],
        "rate": settings.rate,
        "settings": settings.told,
        "answers": endurance.sentences(readings, found[0]["exit"], solved[0].money),
        "readings": readings,
    }


def _print_years(content: "dict[str, Any]") -> None:
    from detente import endurance
    from detente.answers import listed
    from detente.measure import named

    told = content["over_time"]
    first, last = told["years"]
    gone, readings = listed([named(code) for code in content["exit"]]), told["readings"]
    typer.echo(
        fill(
            f"{gone[:1].upper()}{gone[1:]} lifts and the others keep what `{content['situation']}` has: in one year, and "
            f"over years from {first} on, an annuity at {100 * told['rate']:g} % a year, all years after {last} like that "
            f"one. {' and '.join(each['elasticities'] for each in readings)}. Money in {content['money']} a year; percent "
            "of spending in one year, of consumption over years."
        )
    )
    typer.echo(f"\n{endurance.tables(readings, content['money'])}")
    for key, lines in told["answers"].items():
        typer.echo(f"\n{key} · {HEADINGS[key]}")
        for line in lines:
            typer.echo(fill(f"  · {line}", "    "))
    worst = max(each["residual"] for each in readings)
    paths = " + ".join(str(each["paths"]) for each in readings)
    typer.echo("\n" + fill(f"{told['settings']}; {paths} paths, largest residual {worst:.1e}"))


# Printing ---------------------------------------------------------------------------------------------------


def _print(
    solved: "Sequence[Coalition]", question: "Question", found: "Sequence[Finding]", content: "dict[str, Any]"
) -> None:
    from detente.answers import amount, span
    from detente.digits import format_percent
    from detente.tables import party_name

    first, count = solved[0], 2 ** len(solved[0].members)
    loss = span([each["target"]["loss"] for each in found], amount)
    share = span([each["target"]["loss_percent"] for each in found], lambda v: format_percent(v, sign=False))
    typer.echo(
        fill(
            f"{len(first.members)} members against {party_name(first.target)}: {count:,} coalitions of "
            f"`{first.keep.name}`, solved with {' and '.join(each['elasticities'] for each in found)}. Money in "
            f"{first.money} a year, against the coalition in which no member keeps. All together cost "
            f"{party_name(first.target)} {loss}, {share} of its spending."
        )
    )
    typer.echo(f"\n{_table(found)}\n")
    typer.echo(fill(_legend(found)))
    for key, lines in content["answers"].items():
        typer.echo(f"\n{key} · {HEADINGS[key]}")
        for line in lines:
            typer.echo(fill(f"  · {line}", "    "))
    if question.veto:
        typer.echo("\nVotes")
        for line in content["veto"]:
            typer.echo(fill(f"  · {line}", "    "))
    typer.echo(f"\nWho follows, at a λ common to all ({found[0]['elasticities']})")
    typer.echo(_courses(found[0]["cascade"]["pieces"]))
    _print_worths(found, first)
    worst = max(each["residual"] for each in found)
    typer.echo(f"\nlargest residual {worst:.1e}; solved alone: {sum(each['alone'] for each in found)}")


def _table(found: "Sequence[Finding]") -> str:
    from detente.answers import amount, as_number, level, span
    from detente.digits import format_number

    columns = (
        ("pressure", amount),
        ("pressure_last", amount),
        ("cost", amount),
        ("cost_percent", lambda v: format_number(v, sign=False)),
        ("keeping_costs", amount),
        ("break_even", level),
        ("break_even_after", level),
    )
    rows = []
    for k, row in enumerate(found[0]["members"]):
        cells = []
        for key, write in columns:
            values = [each["members"][k][key] for each in found]
            known = [as_number(value) for value in values if value is not None]
            cells.append(span(known, write) if known else "leaves")
        rows.append([row["name"], *cells])
    head = [
        "",
        "pressure",
        "added last",
        "cost",
        "cost, % of\nspending",
        "keeping\ncosts it",
        "λ now",
        "λ after",
    ]
    widths = [15, 12, 12, 14, 14, 11, 14, 14]
    return table(head, rows, widths, range(1, len(head)))


def _legend(found: "Sequence[Finding]") -> str:
    from detente.answers import listed
    from detente.measure import named

    left = listed([named(code) for code in found[0]["exit"]])
    after = f"now and after the exit of {left}" if left else "where nobody leaves both are the same"
    return (
        "pressure: the part of the target's loss that is due to the member (Shapley value); added last: what it adds to "
        "all others. cost: borne when all keep, negative for a gain; keeping costs it: what it would gain by lifting "
        "alone. λ: what a dollar of the target's loss must be worth to it for keeping to pay, "
        f"{after}."
    )


def _courses(courses: "Sequence[Finding]") -> str:
    """What remains in the end by λ; of pieces that end alike, the order of the first."""
    from detente.answers import as_number, level, listed
    from detente.measure import named

    lines: list[str] = []
    for _, group in groupby(courses, key=lambda piece: piece["remaining"]):
        alike = list(group)
        end = as_number(alike[-1]["to"])
        upper = "on" if end == float("inf") else f"to {level(end)}"
        start = level(alike[0]["from"]) if alike[0]["from"] > 0 else "0"
        order = listed([named(code) for code in alike[0]["order"]]) or "nobody"
        remaining = alike[0]["remaining"]
        kept = (
            "runs in a circle"
            if remaining is None
            else listed([named(code) for code in remaining]) or "nobody"
        )
        sequence = "in order" if len(alike) == 1 else "in order at its lower end"
        lines.append(fill(f"  λ {start} {upper}: keep {kept}; leave, {sequence}: {order}.", "    "))
    more = [f"  and {len(lines) - COURSES} more, in the JSON"] if len(lines) > COURSES else []
    return "\n".join([*lines[:COURSES], *more])


def _print_worths(found: "Sequence[Finding]", of: "Coalition") -> None:
    """What holds at each λ asked for."""
    from detente.answers import worth_lines

    sets = [each["elasticities"] for each in found]
    for k in range(len(found[0]["at_lambda"])):
        typer.echo(f"\nAt λ = {found[0]['at_lambda'][k]['lambda']:g}")
        for line in worth_lines([each["at_lambda"][k] for each in found], sets, of.money):
            typer.echo(fill(f"  · {line}", "    "))


# Files ------------------------------------------------------------------------------------------------------


def _content(
    solved: "Sequence[Coalition]", question: "Question", found: "Sequence[Finding]"
) -> dict[str, Any]:
    """The JSON object; keys in docs/coalition.md."""
    from detente.answers import lift_rules, sentences, veto_lines
    from detente.version import __version__

    first = solved[0]
    return {
        "situation": first.keep.name,
        "target": first.target,
        "members": list(first.members),
        "exit": found[0]["exit"],
        "lambda": list(question.worths),
        "veto": [*veto_lines(found), *lift_rules(first)] if question.veto else [],
        "money": first.money,
        "answers": sentences(found, first.money),
        "readings": list(found),
        "version": __version__,
    }


def _write(content: dict[str, Any], solved: "Sequence[Coalition]", out: Path) -> None:
    with busy("Writing"):
        from detente import coalition_chart
        from detente.charts import save_chart
        from detente.drawing import write_atomically

        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        try:
            write_atomically(out / "coalition.json", text)
            for name, body in coalition_chart.csv_tables(content, solved).items():
                write_atomically(out / f"{name}.csv", body)
            for name, spec in coalition_chart.specs(content, solved[0]).items():
                for ending in ("svg", "png"):
                    save_chart(spec, out / f"{name}.{ending}")
        except OSError as problem:
            raise InputError(
                f"`--out {out}` could not be written: {problem.strerror or problem}. Name another folder."
            ) from None
