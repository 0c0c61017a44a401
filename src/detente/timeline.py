"""The measures of a catalogue as dated bars, by sender, coloured by who can end them (colour-blind safe)."""

import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from detente import labels
from detente.catalogue import Catalogue
from detente.charts import QUIET, SCHEMA, THEME, save_chart
from detente.drawing import INK
from detente.law import IN_FORCE, SUSPENDED, LegalMeasure

START = date(2014, 1, 1)
INVASION = date(2022, 2, 24)
BAR, BETWEEN, WIDTH = 4.0, 9.0, 640  # pixels: one measure's row, the gap between senders, the time axis
# After Okabe & Ito (2008), a palette that people with any colour vision tell apart.
COLOURS = {
    "executive-alone": ("head of state or government alone", "#0072b2"),
    "minister-alone": ("minister or cabinet alone", "#56b4e9"),
    "executive-with-notice": ("executive, after notice to parliament", "#009e73"),
    "certification": ("executive, once it can certify conditions", "#f0c419"),
    "statute": ("only a new statute", "#d55e00"),
    "ordinary-law": ("ordinary law", "#000000"),
    "unanimity-renewal": ("lapses unless all members renew", "#cc79a7"),
    "qualified-majority": ("qualified majority of members", "#7b3f73"),
}
Span = tuple[date, date, str]


def draw(catalogue: Catalogue, path: Path) -> Path:
    """Write the picture as .svg or .png (also .html, .json); the file appears whole or not at all."""
    return save_chart(timeline_spec(catalogue), path)


def spans(measure: LegalMeasure, end: date) -> list[Span]:
    """(first day, day after the last, state) for every stretch in force or suspended, up to `end`."""
    days = {end}
    for event in measure.history:
        days |= {event.date, event.applies or event.date}
        days |= {event.until + timedelta(1)} if event.until else set()
    order = sorted(day for day in days if day <= end)
    found: list[Span] = []
    for start, stop in pairwise(order):
        state = measure.state(start)
        if found and found[-1][1:] == (start, state):
            found[-1] = (found[-1][0], stop, state)
        elif state in (IN_FORCE, SUSPENDED):
            found.append((start, stop, state))
    return found


def timeline_spec(catalogue: Catalogue) -> dict[str, Any]:
    """The Vega-Lite specification: one bar a measure, oldest on top, senders one below the other."""
    end = max(catalogue.as_of[code] for code in catalogue.counts())
    bars, heads, top = [], [], 0.0
    for code in _order(catalogue):
        own = [m for m in catalogue if m.sender == code and spans(m, end)]
        own.sort(key=lambda m: (spans(m, end)[0][0], m.adopted, m.id))
        height = max(BAR * len(own), 15)
        heads.append({"name": _name(code), "count": f"{len(own)}", "y": top + min(height / 2, 60)})
        for at, measure in enumerate(own):
            bars += _bars(measure, end, top + BAR * at)
        top += height + BETWEEN
    rules = [rule for rule in COLOURS if any(m.lift_rule.rule == rule for m in catalogue)]
    chart = {
        "width": WIDTH,
        "height": top,
        "layer": [*_frame(heads, end, top), _bar_layer(bars, rules)],
        "title": {
            "text": "Sanctions on Russia, and Russia’s own measures, by sender",
            "subtitle": "One bar a measure, from the day it applies; colour: who can end it",
            "fontSize": 16,
            "offset": 26,
        },
    }
    return {
        "$schema": SCHEMA,
        "vconcat": [chart],
        "padding": 12,
        "config": THEME,
        "title": _caption(catalogue, end),
    }


def _order(catalogue: Catalogue) -> list[str]:
    """Senders, the one with most measures first, Russia last: its measures answer the others'."""
    count = Counter(measure.sender for measure in catalogue)
    return sorted(count, key=lambda code: (code == "RUS", -count[code]))


def _name(code: str) -> str:
    return "European Union" if code == "EU27" else labels.country_name(code)


def _bars(measure: LegalMeasure, end: date, y: float) -> Iterator[dict[str, Any]]:
    for start, stop, state in spans(measure, end):
        if stop > START:
            yield {
                "start": f"{max(start, START)}",
                "stop": f"{stop}",
                "y": y,
                "y2": y + BAR - 0.8,
                "rule": COLOURS[measure.lift_rule.rule][0],
                "strength": 1 if state == IN_FORCE else 0.35,
                "id": measure.id,
                "title": measure.title,
            }


def _axis(end: date, top: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two scales, shared by all layers."""
    ends = [f"{START}T00:00:00Z", f"{end}T00:00:00Z"]
    x = {
        "type": "quantitative",
        "scale": {"type": "utc", "domain": [_moment(d[:10]) for d in ends], "nice": False},
    }
    y = {"type": "quantitative", "scale": {"domain": [top, 0], "nice": False, "zero": False}, "axis": None}
    return x, y


def _moment(day: str) -> dict[str, Any]:
    year, month, number = map(int, day.split("-"))
    return {"year": year, "month": month, "date": number, "utc": True}


def _frame(heads: list[dict[str, Any]], end: date, top: float) -> list[dict[str, Any]]:
    """Years, the names of senders with their numbers of measures, and the line of 24 February 2022."""
    x, y = _axis(end, top)
    ticks = {
        "format": "%Y", "tickCount": {"interval": "year", "step": 1}, "labelFontSize": 11, "labelColor": QUIET,
        "orient": "bottom", "labelAlign": "left",
    }  # fmt: skip
    place = {"y": y | {"field": "y"}, "x": {"value": 0}}
    name = {"type": "text", "align": "right", "baseline": "middle", "fontSize": 12.5, "color": INK, "dx": -36}
    count = name | {"color": QUIET, "dx": -10}
    line = {"data": {"values": [{"day": f"{INVASION}", "y": 0}]}}
    when = {"x": x | {"field": "day", "type": "temporal", "axis": ticks | {"grid": True}, "title": None}}
    words = {"type": "text", "align": "right", "baseline": "bottom", "fontSize": 11, "color": INK, "dy": -4}
    return [
        line | {"mark": {"type": "rule", "color": INK, "strokeDash": [4, 3]}, "encoding": when},
        line
        | {
            "mark": words | {"text": "24 February 2022"},
            "encoding": when | {"y": {"value": 0}},
        },
        {"data": {"values": heads}, "mark": name, "encoding": place | {"text": {"field": "name"}}},
        {"data": {"values": heads}, "mark": count, "encoding": place | {"text": {"field": "count"}}},
    ]


def _bar_layer(bars: list[dict[str, Any]], rules: list[str]) -> dict[str, Any]:
    scale = {"domain": [COLOURS[rule][0] for rule in rules], "range": [COLOURS[rule][1] for rule in rules]}
    legend = {
        "orient": "bottom", "columns": 2, "title": None, "symbolType": "square", "labelLimit": 320, "offset": 12,
        "symbolStrokeWidth": 0,
    }  # fmt: skip
    return {
        "data": {"values": bars},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "x": {"field": "start", "type": "temporal"},
            "x2": {"field": "stop"},
            "y": {"field": "y", "type": "quantitative"},
            "y2": {"field": "y2"},
            "color": {"field": "rule", "type": "nominal", "scale": scale, "legend": legend},
            "opacity": {"field": "strength", "type": "quantitative", "scale": None},
        },
    }


def _caption(catalogue: Catalogue, end: date) -> dict[str, Any]:
    shown = [spans(measure, end) for measure in catalogue if spans(measure, end)]
    early = sum(own[0][0] < START for own in shown)
    parts = [
        f"{_measures(len(shown))} of the catalogue, which is kept up to {end.day} {end:%B %Y}; the numbers count them, "
        "ended ones included.",
        "One act can be several measures, and a measure wide or narrow: the height of a column says nothing of its "
        "weight in trade.",
        "Pale: suspended." * any(state == SUSPENDED for own in shown for _, _, state in own),
        f"{_measures(early)} older than {START.year} begin{'s' * (early == 1)} at the left edge."
        * bool(early),
    ]
    text = " ".join(filter(None, parts))
    return {
        "text": textwrap.wrap(text, 135), "orient": "bottom", "anchor": "start", "fontSize": 11,
        "fontWeight": "normal", "color": QUIET, "offset": 14,
    }  # fmt: skip


def _measures(number: int) -> str:
    return f"{number} measure{'' if number == 1 else 's'}"
