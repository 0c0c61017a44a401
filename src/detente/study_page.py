"""The page of a study: one self-contained file that an institute could publish, and the same as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detente import labels
from detente.comparison import METHODS
from detente.drawing import write_atomically
from detente.quantity import Quantity, Setting
from detente.sizes import CENTRAL, HIGH, LOW
from detente.study import OPEN, REFUTED, SUPPORTED, Bound, Claim, Panel, Study, names
from detente.wording import CLOSURES

TEMPLATES = labels.DATA / "report"
CLASSES = {SUPPORTED: "yes", REFUTED: "no", OPEN: "open"}
NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
LIMITS = (
    "The model is static and runs through trade: no investment, no finance, no market for oil with a price cap "
    "or a cartel, no time. Claims that turn on these are left open, and say what they need.",
    "A range here is the span over the settings named, not a confidence interval. What the settings share, it "
    "does not show: the data and the model. Sizes of measures move together, all at one end of their ranges or the "
    "other; that some are too large while others are too small is not covered.",
    "A rule turns a range into a verdict at a threshold that someone chose. The thresholds stand in the study’s "
    "file; the page prints each.",
    "“Not supported” means that the deciding quantity does not bear the claim out. It does not mean that the "
    "opposite is shown.",
)


class Bar(NamedTuple):
    """A range on its panel's scale, in percent of the track: ends, dots, where zero and the tested bounds stand."""

    label: str
    left: float
    width: float
    dots: tuple[float, ...]
    zero: float
    text: str
    side: str
    bounds: tuple[float, ...] = ()


def write_study(study: Study, directory: str | Path) -> dict[str, Path]:
    """Write study.json and study.html into `directory`; returns {name: path}. Each appears complete or not at all."""
    folder = Path(directory)
    written = {
        "study.json": json.dumps(study.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        "study.html": page(study),
    }
    for name, content in written.items():
        write_atomically(folder / name, content)
    return {name: folder / name for name in written}


def page(study: Study) -> str:
    """The HTML of the page."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    styles = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "study.css")]
    return environment.get_template("study.html.j2").render(
        style=Markup("\n".join(styles)),
        study=study,
        brief=brief(study),
        classes=CLASSES,
        bars=bars,
        result=result,
        settings=settings(study),
        situations=study.situations,
        limits=LIMITS,
        facts=facts(study),
        sources=sources(study),
        methods=METHODS,
    )


def brief(study: Study) -> list[str]:
    """The verdicts in sentences: how many of each, and which."""
    told = []
    for verdict, words in (
        (SUPPORTED, "is borne out|are borne out"),
        (REFUTED, "is not|are not"),
        (OPEN, "cannot be decided with this model|cannot be decided with this model"),
    ):
        claims = [claim for claim in study.claims if claim.verdict == verdict]
        verb = words.split("|")[len(claims) != 1]
        listed = f" ({', '.join(claim.id for claim in claims)})" if claims else ""
        told.append(f"{_number(len(claims))} {verb}{listed}")
    lead = f"Of {_number(len(study.claims))} claims {told[0]} and {told[1]}; {told[2]}."
    missing = sum(bool(claim.needs) for claim in study.claims)
    rest = (
        f"{_number(missing).capitalize()} of those left open turn on something the model does not hold yet; "
        "for these the page says what is needed instead of guessing."
    )
    return [lead, rest] if missing else [lead]


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def result(claim: Claim) -> str:
    """The deciding result in one line for the table."""
    if claim.needs:
        return f"Needs {claim.needs}"
    shown = claim.headline
    return f"{shown.label}: {shown.text}" if shown else ""


def bars(panel: Panel, tests: Sequence[Bound] = ()) -> list[Bar]:
    """The panel's ranges on one scale that holds zero, and the bounds that tests set to them."""
    bounds = {
        quantity.key: tuple(test.threshold for test in tests if test.quantity.key == quantity.key)
        for quantity in panel.quantities
    }
    asked = [bound for found in bounds.values() for bound in found]
    low = min(0.0, *asked, *(quantity.low for quantity in panel.quantities))
    high = max(0.0, *asked, *(quantity.high for quantity in panel.quantities))
    if panel.quantities[0].unit == "%" and not panel.quantities[0].modelled:
        high = 100.0
    return [_bar(quantity, low, (high - low) or 1.0, bounds[quantity.key]) for quantity in panel.quantities]


def _bar(quantity: Quantity, low: float, span: float, bounds: Sequence[float]) -> Bar:
    def at(value: float) -> float:
        return round(1 + 98 * (value - low) / span, 2)  # a little room for the dots at both ends

    start = quantity.low if quantity.modelled else min(0.0, quantity.low)
    side = "loss" if quantity.high < 0 else "gain" if quantity.low > 0 else "both"
    dots = tuple(sorted({at(value) for value in quantity.values.values()})) if quantity.modelled else ()
    width = max(round(at(quantity.high) - at(start), 2), 0.4)
    asked = tuple(at(bound) for bound in bounds if bound)  # zero has its line anyway
    return Bar(quantity.label, at(start), width, dots, at(0.0), quantity.text, side, asked)


def settings(study: Study) -> list[tuple[str, str]]:
    """What was varied: (heading, what), for the section on method."""
    closures = [f"{name}: {CLOSURES[name]}" for name in names(study.settings, "closure")]
    return [
        ("Elasticities of trade", "; ".join(study.provenance["elasticities"])),
        ("Trade imbalances", "; ".join(closures)),
        ("Readings of the sanctions", "; ".join(names(study.settings, "reading"))),
        (
            "Sizes of the measures",
            f"{_listed(names(study.settings, 'cuts'))} of their ranges, all measures together",
        ),
        ("Horizons", "; ".join(names(study.settings, "horizon"))),
        ("Settings", f"{len(study.settings)}, every combination of these"),
        *((f"Settings of {name}", _grid(grid)) for name, grid in study.grids.items()),
    ]


def _grid(settings: Sequence[Setting]) -> str:
    """One of the other grids in words."""
    world = {"energy": "the table with crude oil, gas by pipe and LNG apart"}.get(settings[0].world or "", "")
    parts = [world, *("; ".join(names(settings, part)) for part in ("elasticities", "closure", "horizon"))]
    return f"{len(settings)}: " + ", ".join(part for part in parts if part)


def _listed(positions: Sequence[str]) -> str:
    words = {LOW: "the low end", CENTRAL: "the central value", HIGH: "the high end"}
    return "; ".join(words[position] for position in positions)


def facts(study: Study) -> list[tuple[str, str]]:
    """Terms and descriptions for the foot of the page."""
    about = study.provenance
    data = about["data"]
    state = "all converged" if about["converged"] else "NOT all converged"
    rows = [("Data", data.get("title", ""))]
    rows += [
        (term, data[key])
        for term, key in (("Terms of the data", "licence"), ("Attribution", "attribution"))
        if data.get(key)
    ]
    return [
        *rows,
        ("Law", f"the catalogue of measures, kept up to {about['catalogue_until']}"),
        (
            "Computation",
            f"{about['comparisons']} comparisons of two equilibria, {about['coalitions']} coalitions, "
            f"{about['paths']} paths, {state}; "
            f"largest residual {about['residual']:.0e}, "
            f"tolerance {about['tolerance']:.0e}",
        ),
        ("Money", "USD billion a year, world income held constant; worth is the equivalent variation"),
        ("Program", f"détente {about['version']}"),
    ]


def sources(study: Study) -> list[dict[str, Any]]:
    """Every statement of the ledger that the page leans on, once, by date: citation, address, how far it was checked."""
    used = {since.statement.id: since.statement for claim in study.claims for since in claim.since}
    return [
        {
            "date": statement.date,
            "citation": statement.source.citation,
            "url": statement.source.url,
            "verification": statement.source.verification,
            "seen": statement.source.seen,
        }
        for statement in sorted(_with(study, used.values()), key=lambda one: one.date)
    ]


def _with(study: Study, statements: Any) -> Sequence[Any]:
    others = [one for one in (*study.read, *statements) if one.id != study.article.id]
    return list({one.id: one for one in (study.article, *others)}.values())
