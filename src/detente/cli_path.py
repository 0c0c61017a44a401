"""`detente path`: a scenario year by year, with capital, foreign owners and memory, against another."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detente import cli_fan
from detente.errors import InputError
from detente.terminal import busy, fill, table

if TYPE_CHECKING:
    from detente.course import Settings
    from detente.economy import Economy
    from detente.transition import Transition

SHOWN = 6  # years that a terminal has room for


def path(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")],
    first: Annotated[int, typer.Option("--from", help="First year; 2022, the data year, or later.")] = 2022,
    last: Annotated[int, typer.Option("--to", help="Last year.")] = 2035,
    against: Annotated[
        str | None, typer.Option(help="Situation to compare with. Default: the one the scenario names.")
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(help="A scenario that takes over, as 2028=us-relief-reversed; may be repeated."),
    ] = None,
    lift_years: Annotated[
        str | None,
        typer.Option("--lift-years", help="Years to which the scenario's steps are put off, as 2025:2032."),
    ] = None,
    reversal: Annotated[float, typer.Option(help="Chance a year that relief ends, from 0 to 1.")] = 0.0,
    capital: Annotated[str, typer.Option(help="on, or off: capital stays as it is.")] = "on",
    hysteresis: Annotated[
        str, typer.Option(help="sectors (persistence by sector), a number from 0 to 1, or off.")
    ] = "sectors",
    foreign_capital: Annotated[str, typer.Option("--foreign-capital", help="on or off.")] = "on",
    finance: Annotated[
        str, typer.Option(help="on (risk premium, payments, frozen reserves) or off.")
    ] = "off",
    rate: Annotated[float, typer.Option(help="Rate of discount a year.")] = 0.03,
    figures: Annotated[
        str | None, typer.Option(help="A YAML file of figures on capital, laid over those that ship.")
    ] = None,
    end: Annotated[str, typer.Option(help="Which of the figures' ranges: value, low or high.")] = "value",
    buy_back: Annotated[
        bool, typer.Option("--buy-back", help="Owners who return buy back what they sold.")
    ] = False,
    investment_goods: Annotated[
        bool, typer.Option("--investment-goods", help="Investment has a mix of goods of its own.")
    ] = False,
    world: Annotated[
        str | None, typer.Option("--world", help="A world saved as .nc, `tiny` or `energy`.")
    ] = None,
    elasticities: Annotated[
        str, typer.Option(help="A named set, a number, or a CSV file.")
    ] = "caliendo-parro-2015",
    deficits: Annotated[
        str, typer.Option(help="share-of-world, share-of-own, balanced or fixed.")
    ] = "share-of-world",
    horizon: Annotated[
        str, typer.Option(help="How much has adjusted within a year: long, medium or short.")
    ] = "long",
    draws: Annotated[
        int | None, typer.Option(help="Bands over so many draws of parameters and figures from their ranges.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draws; default 0.")] = None,
    parameters: Annotated[
        str | None, typer.Option(help="Which are drawn, with commas between; left out, all that matter.")
    ] = None,
    ranges: Annotated[
        Path | None, typer.Option(help="A YAML file of ranges for the draws (docs/uncertainty.md).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for pictures and tables.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """A scenario year by year: who gains when, what returns, and what the long run brings."""
    from detente.schedule import span

    years, dates = span(first, last), _dates(lift_years, first, last)
    chosen = _settings(capital, hysteresis, foreign_capital, finance, rate, reversal, figures, end)
    chosen = _with_goods(chosen, buy_back, investment_goods)
    if dates and reversal:
        raise InputError("`--lift-years` and `--reversal` ask two questions. Leave one of them out.")
    asked = cli_fan.Asked(draws, seed, parameters, ranges)
    if asked.wanted(lift_years=dates, reversal=reversal, end=end != "value"):
        question = cli_fan.Question(scenario, against, years, chosen, _then(then))
        economy = _economy(scenario, world, (elasticities, deficits, "long"))
        return cli_fan.run(asked, question, economy, horizon, out, as_json)
    economy = _economy(scenario, world, (elasticities, deficits, horizon))
    with busy("Following the paths"):
        from detente.transition import simulate_path

        found = simulate_path(
            economy, scenario, against, years=years, settings=chosen, lift_years=dates, then=_then(then)
        )
    if out is not None:
        _write(found, out)
    if as_json:
        typer.echo(json.dumps(to_json(found), indent=1, allow_nan=False))
        return
    typer.echo(summary(found))
    if out is not None:
        typer.echo(f"\nPictures and tables: {out}")


def _settings(
    capital: str,
    hysteresis: str,
    foreign: str,
    finance: str,
    rate: float,
    reversal: float,
    figures: str | None,
    end: str,
) -> "Settings":
    from detente.course import Settings
    from detente.positions import Positions

    if end not in ("value", "low", "high"):
        raise InputError(f"`--end` is `{end}`; expected value, low or high.")
    return Settings(
        capital=_switch("--capital", capital),
        hysteresis=_memory(hysteresis),
        foreign=_switch("--foreign-capital", foreign),
        finance=_switch("--finance", finance),
        rate=rate,
        reversal=reversal,
        end=end,
        positions=Positions.load(figures),
    )


def _with_goods(chosen: "Settings", buy_back: bool, investment_goods: bool) -> "Settings":
    from dataclasses import replace

    return replace(chosen, buy_back=buy_back, investment_goods=investment_goods)


def _switch(option: str, given: str) -> bool:
    if given not in ("on", "off"):
        raise InputError(f"`{option}` is `{given}`; expected on or off.")
    return given == "on"


def _memory(given: str) -> float | str | None:
    if given in ("sectors", "off"):
        return None if given == "off" else given
    try:
        rho = float(given)
    except ValueError:
        rho = -1.0
    if not 0 <= rho < 1:
        raise InputError(
            f"`--hysteresis` is `{given}`; expected sectors, off, or a number from 0 to below 1."
        )
    return rho


def _dates(given: str | None, first: int, last: int) -> list[int]:
    if given is None:
        return []
    begin, _, end = given.partition(":")
    if not (begin.isdigit() and (end or begin).isdigit()):
        raise InputError(f"`--lift-years {given}`: expected years as 2025:2032.")
    found = list(range(int(begin), int(end or begin) + 1))
    if not found or not first <= found[0] <= found[-1] < last:
        raise InputError(f"`--lift-years {given}`: expected years from {first} to before {last}.")
    return found


def _then(given: list[str] | None) -> dict[int, Any]:
    from detente.scenario import Scenario

    found = {}
    for each in given or ():
        year, sign, name = each.partition("=")
        if not sign or not year.strip().isdigit():
            raise InputError(f"`--then {each}`: expected a year and a scenario, as 2028=us-relief-reversed.")
        found[int(year)] = Scenario.load(name.strip())
    return found


def _economy(scenario: str, world: str | None, behaviour: tuple[str, str, str]) -> "Economy":
    with busy("Reading the world"):
        from detente.calibration import calibrate
        from detente.scenario import Scenario
        from detente.world import World

        return calibrate(World.load(world or Scenario.load(scenario).world or None), *behaviour)


# In words --------------------------------------------------------------------------------------------------


def summary(found: "Transition") -> str:
    """Real income by year, sums over years, owners, and what was reckoned with."""
    parts = [
        _head(found),
        _by_date(found) if len(found.names) > 2 and found.weight is None else _by_year(found),
    ]
    if found.maker.holdings is not None:
        parts.append(_owners(found))
    if found.weight is not None:
        parts.append(_entry(found.settings.reversal))
    return "\n\n".join([*parts, fill(f"{found.settings.told}; residual {found.paths.residual.max():.0e}")])


def _head(found: "Transition") -> str:
    base = found.names[0]
    if found.weight is not None:
        what = f"Relief that ends with a chance of {100 * found.settings.reversal:g} % a year, expected"
        more = (
            f"; {100 * found.maker.returning:.0f} % of the owners who would return if it were sure do return"
        )
        return fill(f"{what}, against {base}, {found.years[0]} to {found.years[-1]}{more}")
    return fill(f"{', '.join(found.names[1:])}: against {base}, {found.years[0]} to {found.years[-1]}")


def shown_years(found: "Transition") -> list[int]:
    """The years that a table shows: from the first that differs to the last."""
    begins = found.begins(1)
    wanted = [begins, begins + 1, begins + 2, begins + 5, begins + 8, found.years[-1]]
    return sorted({year for year in wanted if year <= found.years[-1]})[:SHOWN]


def _by_year(found: "Transition") -> str:
    from detente.digits import format_percent, format_usd

    years = shown_years(found)
    value = found.present_value(found.begins(1))
    rows, sums = [], []
    for name, code in found.parties():
        line = dict(zip(found.years, found.mean_path(code), strict=True))
        lasting = [] if found.weight is not None else [format_percent(found.long_run_of(code)[-1])]
        rows.append([name, *(format_percent(line[year]) for year in years), *lasting])
        sums.append(
            [
                name,
                *(
                    format_usd(float(found.headline(found.summed(value[part], code))))
                    for part in ("transition", "terminal")
                ),
            ]
        )
    head = ["real income", *map(str, years), *([] if found.weight is not None else ["long run"])]
    first = table(head, rows, [22, *(10 for _ in head[1:])], range(1, len(head)))
    rate, last = found.settings.rate, found.years[-1]
    title = f"consumption gained,\nUSD billion, {100 * rate:g} % a year"
    second = table([title, f"to {last}", "after that"], sums, [26, 12, 12], (1, 2))
    return f"{first}\n\n{second}"


def _by_date(found: "Transition") -> str:
    from detente.digits import format_percent, format_usd

    parts = []
    for name, code in found.parties()[:3]:
        gains = found.gain_by_date(code)
        rows = [
            [
                str(int(row["year"])),
                format_usd(row["transition"]),
                format_usd(row["terminal"]),
                format_percent(row["long_run"]),
            ]
            for row in gains
        ]
        window = found.years[-1] - int(gains[-1]["year"]) + 1
        head = [f"{name}, lifted in", f"{window} years", "after that", "long run"]
        parts.append(table(head, rows, [28, 12, 12, 12], (1, 2, 3)))
    unit = f"USD billion at the date of lifting, {100 * found.settings.rate:g} % a year"
    told = f"Consumption gained, {unit}; real income in the long run"
    return "\n\n".join([fill(told), *parts])


def _owners(found: "Transition") -> str:
    from detente import labels
    from detente.digits import format_usd

    stock = found.data["foreign_capital"]
    first = dict(zip(found.economy.countries, stock.isel(path=0, year=0).values.tolist(), strict=True))
    codes = [code for code in sorted(first, key=lambda code: -first[code]) if first[code] > 0]
    codes = _acting(found, codes)[:6]
    years = [found.years[0], *shown_years(found)]
    rows = []
    for p in sorted({0, len(found.names) - 1}):
        for code in codes:
            amounts = [float(stock.isel(path=p).sel(country=code, year=year)) for year in years]
            rows.append(
                [labels.country_name(code), found.names[p], *(format_usd(x, sign=False) for x in amounts)]
            )
    head = [f"capital in {labels.country_name(found.target)}", "USD billion", *map(str, years)]
    return table(head, rows, [22, 20, *(8 for _ in years)], range(2, len(head)))


def _acting(found: "Transition", codes: list[str]) -> list[str]:
    """Owners whose capital fares otherwise in the last path than in the first come first, then the largest."""
    stock = found.data["foreign_capital"].isel(year=-1)
    moved = {code: abs(float(stock.sel(country=code)[-1] - stock.sel(country=code)[0])) > 0 for code in codes}
    return sorted(codes, key=lambda code: not moved[code])


def _entry(chance: float) -> str:
    from detente.course import entry
    from detente.digits import format_percent

    rows = [
        [
            f"{100 * p:g} %",
            f"{at.threshold:.2f}",
            f"{at.waiting:.2f}",
            format_percent(100 * at.share, sign=False),
        ]
        for p in sorted({0.0, 0.1, 0.25, 0.5, chance})
        for at in [entry(p)]
    ]
    head = ["chance of reversal a year", "profit needed", "value of waiting", "firms that go in"]
    note = "Per unit of sunk cost; an illustration: no source measures what firms expect to earn (docs/capital.md)."
    return f"{table(head, rows, [26, 14, 16, 16], (1, 2, 3))}\n{note}"


def to_json(found: "Transition") -> dict[str, Any]:
    """Everything as plain data: settings, years, paths with probabilities, figures by party and year (docs/paths.md)."""
    value = found.present_value(found.begins(1))
    parties: dict[str, Any] = {}
    for _, code in found.parties():
        parties[code] = {
            name: {
                path: line.tolist() for path, line in zip(found.names, found.group(code, name), strict=True)
            }
            for name in ("real_income", "consumption", "capital")
        }
        parties[code]["long_run"] = dict(zip(found.names, found.long_run_of(code).tolist(), strict=True))
        parties[code]["present_value"] = {
            part: dict(zip(found.names, found.summed(value[part], code).tolist(), strict=True))
            for part in value
        }
    owners = {}
    if found.maker.holdings is not None:
        stock = found.data["foreign_capital"]
        for code in found.economy.countries:
            if float(stock.isel(path=0, year=0).sel(country=code)) > 0:
                owners[code] = dict(zip(found.names, stock.sel(country=code).values.tolist(), strict=True))
    return {
        "target": found.target,
        "years": list(found.years),
        "paths": list(found.names),
        "probability": None if found.weight is None else dict(zip(found.names, found.weight, strict=True)),
        "situations": {n: [m.name for m in each] for n, each in zip(found.names, found.moments, strict=True)},
        "settings": found.settings.told,
        "rate": found.settings.rate,
        "residual": float(found.paths.residual.max()),
        "parties": parties,
        "foreign_capital": owners,
    }


def _write(found: "Transition", out: Path) -> None:
    from detente.charts import save_chart
    from detente.drawing import write_atomically
    from detente.path_chart import pictures

    try:
        out.mkdir(parents=True, exist_ok=True)
        rows = found.rows()
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(out / "path.csv", text.getvalue())
        write_atomically(out / "path.json", json.dumps(to_json(found), indent=1, allow_nan=False))
        for name, picture in pictures(found).items():
            save_chart(picture, out / f"{name}.svg")
    except OSError as problem:
        raise InputError(
            f"`--out {out}`: writing failed: {problem.strerror or problem}. Name another folder."
        ) from None
