"""What `detente design` writes: the picture of the frontier, the tables, and the same as JSON."""

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detente import drawing, labels
from detente.charts import QUIET, SCHEMA, THEME
from detente.design import Point
from detente.drawing import INK
from detente.plan import Plan

WIDTH, HEIGHT = 560, 340  # pixels
LINES = {  # blue and orange mean gain and loss elsewhere
    "best": ("best cuts found", "#0f7b6c"),
    "uniform": ("the same cut everywhere", "#c9a227"),
    "proportional": ("cuts in proportion to trade", "#7b4ea3"),
}


def write_plan(plan: Plan, folder: Path) -> list[Path]:
    """Write frontier.svg and .png, frontier.csv, cuts.csv, measures.csv and design.json; returns where they lie.

    Each file appears complete or not at all. Raises `OSError` where it cannot be written.
    """
    svg = drawing.to_svg(frontier_spec(plan))
    content: dict[str, str | bytes] = {
        "frontier.svg": svg,
        "frontier.png": drawing.to_png(svg),
        "frontier.csv": _frontier_table(plan),
        "cuts.csv": _cuts_table(plan),
        "design.json": json.dumps(plan.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    if plan.measures:
        content["measures.csv"] = _measures_table(plan)
    for name, text in content.items():
        drawing.write_atomically(folder / name, text)
    return [folder / name for name in content]


# The picture ------------------------------------------------------------------------------------------------


def frontier_spec(plan: Plan) -> dict[str, Any]:
    """The Vega-Lite specification: the target's loss over own cost, of the best cuts and of the rules of thumb."""
    none = Point(np.zeros(0), 0.0, 0.0, np.zeros(0))
    best = [none, *sorted((each.point for each in plan.points), key=lambda at: at.cost)]
    curves = {"best": best, **plan.curves}
    values = [
        {"cost": at.cost, "loss": at.loss, "line": LINES[name][0], "order": k}
        for name, points in curves.items()
        for k, at in enumerate(points)
    ]
    marks = [value for value in values if value["line"] == LINES["best"][0] and value["order"]]
    goal = labels.country_name(plan.target)
    axis = {"tickCount": 6, "labelFontSize": 11, "labelColor": QUIET}
    x = {"field": "cost", "type": "quantitative", "axis": axis}
    x |= {"title": f"Own cost of {', '.join(plan.groups)}, USD billion a year"}
    y = {"field": "loss", "type": "quantitative", "axis": axis}
    y |= {"title": f"Loss of {goal}, USD billion a year"}
    scale = {
        "domain": [name for name, _ in LINES.values()],
        "range": [colour for _, colour in LINES.values()],
    }
    legend = {
        "orient": "bottom",
        "title": None,
        "symbolType": "stroke",
        "symbolStrokeWidth": 3,
        "labelLimit": 300,
    }
    colour = {"field": "line", "type": "nominal", "scale": scale, "legend": legend}
    layers = [
        {"mark": {"type": "line", "strokeWidth": 2.5, "interpolate": "monotone"}, "data": {"values": values},
         "encoding": {"x": x, "y": y, "color": colour, "order": {"field": "order", "type": "quantitative"}}},
        {"mark": {"type": "point", "filled": True, "size": 55, "opacity": 1}, "data": {"values": marks},
         "encoding": {"x": x, "y": y, "color": colour}},
        *_budget_layers(plan, x, y),
    ]  # fmt: skip
    title = {
        "text": f"Pressure on {goal} for its cost, on top of {plan.against}",
        "fontSize": 16,
        "offset": 14,
    }
    return {
        "$schema": SCHEMA, "layer": layers, "width": WIDTH, "height": HEIGHT, "padding": 12, "config": THEME,
        "title": title | {"subtitle": textwrap.wrap(_caption(plan), 105), "fontWeight": "bold", "subtitleFontSize": 11},
    }  # fmt: skip


def _budget_layers(plan: Plan, x: dict[str, Any], y: dict[str, Any]) -> list[dict[str, Any]]:
    if plan.chosen is None:
        return []
    at = plan.chosen.point
    data = {"values": [{"cost": at.cost, "loss": at.loss, "text": f"budget {plan.budget:g}"}]}
    place = {"x": x, "y": y}
    mark = {"type": "point", "shape": "diamond", "filled": True, "size": 130, "color": INK, "opacity": 1}
    words = {
        "type": "text",
        "align": "left",
        "baseline": "top",
        "dx": 9,
        "dy": 5,
        "fontSize": 12,
        "color": INK,
    }
    text = {"text": {"field": "text", "type": "nominal"}}
    return [
        {"data": data, "mark": mark, "encoding": place},
        {"data": data, "mark": words, "encoding": place | text},
    ]


def _caption(plan: Plan) -> str:
    unit = "sender" if len(plan.names) == len(plan.groups) else "country"
    return (
        f"{plan.task.count:,} cuts of up to {100 * plan.task.most:g} %, by {unit}, direction and sector; equivalent "
        f"variations; trade elasticities: {plan.elasticities}"
    )


# Tables -----------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def _frontier_table(plan: Plan) -> str:
    head = ["price", "cost", "loss", "spread", "uniform_loss", "proportional_loss", *plan.groups]
    rows = []
    for each in plan.points:
        others = [None if at is None else at.loss for at in each.rules.values()]
        own = plan.own(each.point).values()
        rows.append([each.price, each.point.cost, each.point.loss, each.spread, *others, *own])
    return _table(head, rows)


def _cuts_table(plan: Plan) -> str:
    """One instrument a row: first order, and its cut at each point of the frontier and within the budget."""
    points = [each.point.cuts for each in plan.points]
    head = [
        "sender",
        "direction",
        "sector",
        "trade",
        "loss",
        "cost",
        *(f"cut_{k + 1}" for k in range(len(points))),
    ]
    if plan.chosen is not None:
        points.append(plan.chosen.point.cuts)
        head.append("cut_budget")
    rows = [
        [
            row.sender,
            row.direction,
            row.sector,
            row.trade,
            row.loss,
            row.cost,
            *(round(float(p[k]), 6) for p in points),
        ]
        for k, row in enumerate(plan.rows)
    ]
    return _table(head, rows)


def _measures_table(plan: Plan) -> str:
    head = ["id", "sender", "title", "loss", "cost", "solved_loss", "solved_cost"]
    return _table(head, [[getattr(row, name) for name in head] for row in plan.measures])
