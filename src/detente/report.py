"""One self-contained page about an outcome: words composed from its numbers, charts, tables, and where all
came from.

`write_report` is the one thing to call; `prepare`, called before a long computation, starts the drawing
engine meanwhile. The page holds no script and fetches nothing; charts and tables also lie beside it as
SVG, PNG and CSV.
"""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import charts, drawing, labels, split_chart, wording
from .digits import format_number
from .errors import DetenteError
from .tables import (
    Row,
    country_rows,
    default_parties,
    expected_over,
    hub_rows,
    largest,
    outcome_rows,
    partner_rows,
    route_rows,
    split_by_country,
    split_rows,
    split_shown,
)

if TYPE_CHECKING:
    from .comparison import Comparison
    from .prospect import Prospect

TEMPLATES = labels.DATA / "report"
TOP_PARTNERS = 12
TABLES: tuple[str, ...] = ("countries.csv", "trade_by_partner.csv")
Panels = Mapping[str, Sequence[Row]]


ROUTE = ("hub", "exporter", "importer")


class Column(NamedTuple):
    """A column of the table of countries."""

    key: str
    title: str
    unit: str
    signed: bool = True


COLUMNS = (
    Column("real_income", "Real income", "%"),
    Column("equivalent_variation", "Its worth", ""),
    Column("real_wage", "Real wage", "%"),
    Column("consumer_price", "Consumer prices", "%"),
    Column("income_before", "Spending before", "", signed=False),
)


def prepare() -> None:
    """Start the drawing engine in the background (about half a second of work); call it as early as you like."""
    drawing.warm_up()


def write_report(
    outcome: "Comparison",
    directory: str | Path,
    *,
    target: str | None = None,
    parties: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Path]:
    """Write report.html, charts/*.svg and *.png, and the tables as CSV into `directory`; returns {name:
    path}.

    `target` is the country whose trade is shown (default: the outcome's focus);
    `parties` are codes or group names under headings. Everything is written beside its place first and
    moved there when all of it is complete. Raises InputError for an unknown country.
    """
    prepare()
    target = target or outcome.focus
    parties = parties or default_parties(outcome, target)
    with _complete_or_nothing(Path(directory)) as folder, drawing.PngWriter() as pngs:
        panels, unsplit = _split(outcome, parties)
        tables = _tables(outcome, target) | ({} if unsplit else _split_csv(outcome))
        for name, text in tables.items():
            (folder / name).write_text(text, encoding="utf-8")
        figures = _figures(outcome, target, parties, panels, folder / "charts", pngs)
        page = _page(outcome, target, parties, (panels, unsplit), figures, list(tables))
        (folder / "report.html").write_text(page, encoding="utf-8")
    return {
        name: Path(directory) / name
        for name in [
            "report.html",
            *tables,
            *(f"charts/{name}.{kind}" for name in figures for kind in ("svg", "png")),
        ]
    }


@contextmanager
def _complete_or_nothing(directory: Path) -> Iterator[Path]:
    """A temporary folder inside `directory`, whose files move to `directory` when the block ends well, the
    page last."""
    created = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    waiting = Path(tempfile.mkdtemp(dir=directory, prefix=".report-"))
    try:
        yield waiting
        for path in sorted(waiting.rglob("*.*"), key=lambda path: path.name == "report.html"):
            place = directory / path.relative_to(waiting)
            place.parent.mkdir(exist_ok=True)
            os.replace(path, place)
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
        if created and not any(directory.iterdir()):
            directory.rmdir()


# Charts -----------------------------------------------------------------------------------------------------


def _figures(
    outcome: "Comparison",
    target: str,
    parties: Mapping[str, Sequence[str]],
    panels: Panels,
    folder: Path,
    pngs: drawing.PngWriter,
) -> dict[str, dict[str, Any]]:
    """Draw all charts once, framed as SVG and PNG into `folder`; returns each as `svg` for the page, with
    its `note`."""
    from markupsafe import Markup

    specs = {
        "real_income_map": charts.real_income_map_spec(outcome),
        "real_income_bars": charts.real_income_bars_spec(outcome, parties),
        "trade_by_partner": charts.trade_by_partner_spec(outcome, target, TOP_PARTNERS),
    }
    if any(code in outcome.data["sector"].values for code in charts.PRODUCTS):
        specs["trade_by_product"] = charts.trade_by_product_spec(outcome, target)
    if prospect := _prospect(outcome):
        specs["real_income_by_outcome"] = charts.outcomes_spec(prospect, target)
    alts = wording.alternatives(outcome, target, parties)
    if panels:
        specs["welfare_split"] = split_chart.welfare_split_spec(outcome, panels)
        alts["welfare_split"] = split_chart.alternative(panels)
    figures = {}
    folder.mkdir()
    for name, spec in specs.items():
        svg, words = drawing.to_svg(charts.bare(spec)), charts.words_of(spec)
        framed = drawing.framed_svg(svg, words["headline"], words["unit"], [words["caption"], words["note"]])
        (folder / f"{name}.svg").write_text(framed, encoding="utf-8")
        pngs.add(folder / f"{name}.svg")
        figures[name] = {"svg": Markup(drawing.inline_svg(svg, name, alts[name])), "note": words["note"]}
    return figures


# Page and tables
# ----------------------------------------------------------------------------------------------


def _page(
    outcome: "Comparison",
    target: str,
    parties: Mapping[str, Sequence[str]],
    split: tuple[Panels, str],
    figures: Mapping[str, Mapping[str, Any]],
    tables: Sequence[str],
) -> str:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["change"] = lambda value: format_number(value, digits=3)
    environment.filters["amount"] = lambda value: format_number(value, sign=False, digits=3)
    partners = partner_rows(outcome, target)
    total = {key: sum(row[key] for row in partners) for key in partners[0] if key != "name"}
    return environment.get_template("report.html.j2").render(
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        title=outcome.title or outcome.scenario,
        scenario=outcome.scenario,
        against=outcome.against,
        over=expected_over(outcome),
        prospect=_by_outcome(prospect, target, parties) if (prospect := _prospect(outcome)) else None,
        instruments=_instruments(outcome),
        target=labels.country_name(target),
        split=_split_table(*split),
        data={"year": "", "limits": []} | outcome.provenance["data"],
        money=outcome.money,
        warning=wording.warning(outcome),
        answer=wording.answer(outcome, target, parties),
        scope=wording.SCOPE,
        situations=wording.situations(outcome),
        hubs=(passing := hub_rows(outcome)),
        around=wording.around(outcome, passing),
        figures=figures,
        caption=charts.caption(outcome),
        partners=[*largest(partners, TOP_PARTNERS, ("exports", "imports")), {"name": "All partners"} | total],
        columns=[column for column in COLUMNS if column.key in outcome.data],
        countries=country_rows(outcome),
        tables=tables,
        facts=wording.facts(outcome),
    )


def _tables(outcome: "Comparison", target: str) -> dict[str, str]:
    """{file name: CSV text}, full precision, units in the column names."""
    money = outcome.money.lower().replace(" ", "_")
    units = {column.key: "percent" if column.unit == "%" else money for column in COLUMNS}
    countries = [
        {"country": row["code"], "name": row["name"]}
        | {f"{key}_{unit}": row[key] for key, unit in units.items() if key in row}
        | {"horizon": outcome.provenance["horizon"]["told"]}
        for row in country_rows(outcome)
    ]
    partners = [
        {"partner": row["name"]} | {f"{key}_{money}": value for key, value in row.items() if key != "name"}
        for row in partner_rows(outcome, target)
    ]
    found: dict[str, str] = dict(zip(TABLES, (_csv(countries), _csv(partners)), strict=True))
    if routes := route_rows(outcome):
        found["routes.csv"] = _csv(
            [{key if key in ROUTE else f"{key}_{money}": row[key] for key in row} for row in routes]
        )
    if prospect := _prospect(outcome):
        found["outcomes.csv"] = _csv(prospect.rows(target))
    if shown := _instruments(outcome):
        found["markets.csv"] = _csv(shown["figures"])
        if shown["rows"]:
            found["instruments.csv"] = _csv(shown["rows"])
    return found


def _split(outcome: "Comparison", parties: Mapping[str, Sequence[str]]) -> tuple[Panels, str]:
    """{heading: rows of the welfare split} and, where there is none, why."""
    if not outcome.converged:
        return {}, "No equilibrium was reached."
    try:
        return {head: split_rows(outcome, names) for head, names in parties.items() if names}, ""
    except DetenteError as problem:
        return {}, str(problem)


def _split_table(panels: Panels, unsplit: str) -> dict[str, Any]:
    rows = [row for part in panels.values() for row in part]
    return {"parts": split_shown(rows), "rows": rows, "why": unsplit}


def _split_csv(outcome: "Comparison") -> dict[str, str]:
    worth = f"worth_{outcome.money.lower().replace(' ', '_')}"
    names = {"real_income": "real_income_percent", "equivalent_variation": worth}
    rows = [{names.get(key, key): value for key, value in row.items()} for row in split_by_country(outcome)]
    return {"welfare_split.csv": _csv(rows)}


def _instruments(outcome: "Comparison") -> dict[str, Any] | None:
    """What the section on markets and instruments shows, None where there is nothing to show."""
    from . import market
    from .outcome import Outcome

    if not isinstance(outcome, Outcome) or not outcome.markets:
        return None
    results = outcome.instrument_results["after"]
    return {
        "seller": labels.country_name(outcome.focus),
        "markets": [market.cells(each) for each in outcome.markets],
        "buyers": [market.buyers(each, outcome.money) for each in outcome.markets],
        "told": [(each.name, market.told(each, outcome.money)) for each in results],
        "figures": [row for each in outcome.markets for row in market.figures_of(each)],
        "rows": outcome.instruments.to_dict("records"),
    }


def _prospect(outcome: "Comparison") -> "Prospect | None":
    from .prospect import Prospect

    return outcome if isinstance(outcome, Prospect) else None


def _by_outcome(prospect: "Prospect", target: str, parties: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the section on outcomes shows: sentences, columns (name and probability) and groups of rows."""
    names = list(dict.fromkeys([target, *(name for listed in parties.values() for name in listed)]))
    return {
        "sentences": wording.spread(prospect),
        "columns": [(entry.name, entry.weight) for entry in prospect.situation_after.outcomes],
        "groups": outcome_rows(prospect, target, names),
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
