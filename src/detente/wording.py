"""Sentences about an outcome, composed from its numbers: who gains, who loses, by how much, and what that
leaves out."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .digits import NEGLIGIBLE, format_number, format_percent
from .horizon import number
from .tables import country_rows, data_line, expected_over, income_rows, partner_rows, party_name, party_row

if TYPE_CHECKING:
    from .comparison import Comparison
    from .prospect import Prospect

SCOPE = (
    "These are long-run effects that run through trade alone, in a static model. Investment, finance, the "
    "return of firms, the course of the war and every aim other than income lie outside it, and the sizes "
    "depend on the data and the elasticities named below. The figures say what a change would do; they do "
    "not say whether it is right."
)
CLOSURES = {
    "share-of-world": "every country’s trade imbalance stays the same share of world income",
    "share-of-own": "every country’s trade imbalance stays the same share of its own income",
    "balanced": "trade imbalances were removed first, so every country’s trade is balanced",
    "fixed": "every country’s trade imbalance stays fixed in units of world income",
}
_WITH_ARTICLE = ("United ", "European Union", "Netherlands", "Philippines", "Czech Republic", "DR Congo")


def answer(outcome: "Comparison", target: str, parties: Mapping[str, Sequence[str]]) -> list[str]:
    """The result in a few sentences; changes too small to print count as neither gain nor loss."""
    one, over = party_row(outcome, target), expected_over(outcome)
    first = (
        f"With “{outcome.scenario}” in place of “{outcome.against}”{over}, {_verdict(one, outcome.money)}."
    )
    foremost = [name for names in parties.values() for name in [name for name in names if name != target][:2]]
    others = [party_row(outcome, name) for name in foremost]
    told = [_verdict(row, outcome.money) for row in others[:6]]
    second = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in [_join(told)] if sentence]
    return [first, *_ends(outcome, target), *second, *_count(outcome, target)]


def spread(prospect: "Prospect") -> list[str]:
    """How to read an expectation."""
    return [
        f"This scenario may end in {len(prospect.outcomes)} ways, with the probabilities that its author gives them.",
        "The expectation is the mean of the results, weighted by the probabilities: each outcome is an equilibrium of its "
        "own. It is not the result of an average measure, and it need not be like any of the outcomes. All figures on "
        "this page are such expectations, but for those that are given by outcome here.",
    ]


def _ends(outcome: "Comparison", target: str) -> list[str]:
    """What an expectation hides: the lowest and the highest outcome for the target; nothing for a single outcome."""
    found = {name: party_row(side, target) for name, side in getattr(outcome, "outcomes", {}).items()}
    if not found:
        return []
    low, high = (pick(found, key=lambda name: found[name]["value"]) for pick in (min, max))
    if found[low]["label"] == found[high]["label"]:
        return [f"All outcomes change it by {found[low]['label']}."]
    return [
        f"By outcome the change runs from {found[low]['label']} (“{low}”) to {found[high]['label']} (“{high}”)."
    ]


def situations(outcome: "Comparison") -> list[dict[str, object]]:
    """The two situations compared, each with its measures in sentences."""
    return [
        {
            "heading": "The situation examined",
            "name": outcome.scenario,
            "sentences": _unbroken(outcome.sentences),
        },
        {
            "heading": "Compared with",
            "name": outcome.against,
            "sentences": _unbroken(outcome.sentences_against),
        },
    ]


def alternatives(outcome: "Comparison", target: str, parties: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """{chart: what it shows, for those who cannot see it}."""
    rows = income_rows(outcome)
    extremes = ""
    if rows:
        extremes = f" Greatest gain: {_short(rows[0])}; greatest loss: {_short(rows[-1])}."
    bars = "; ".join(_short(party_row(outcome, name)) for names in parties.values() for name in names)
    partners = sorted(partner_rows(outcome, target), key=lambda row: -abs(row["exports"]))[:3]
    trade = "; ".join(f"{row['name']} {format_number(row['exports'])}" for row in partners)
    name = party_name(target)
    by_outcome = "; ".join(
        _short({**party_row(side, target), "name": name})
        for name, side in getattr(outcome, "outcomes", {}).items()
    )
    return {
        "real_income_by_outcome": f"Bars of the change in {name}’s real income by outcome: {by_outcome}.",
        "real_income_map": f"World map of the change in real income, in percent.{extremes}",
        "real_income_bars": f"Bars of the change in real income: {bars}.",
        "trade_by_partner": f"Bars of the change in {name}’s exports and imports by partner, "
        f"in {outcome.money}. "
        f"Largest changes in exports: {trade}.",
        "trade_by_product": f"Bars of the change in {name}’s exports of crude oil and gas and of refined oil "
        f"by buyer, in {outcome.money}.",
    }


def facts(outcome: "Comparison") -> list[tuple[str, str]]:
    """Terms and descriptions for the foot of the page: data, closure, elasticities, how exactly it was
    solved."""
    about, elasticities = outcome.provenance, outcome.provenance["elasticities"]
    data, closure = about["data"], about["closure"]
    rows = [("Data", data_line(outcome))]
    rows += [("Source", data["source"])] if data.get("source") else []
    rows += [("Terms of the data", data["licence"])] if data.get("licence") else []
    rows += [("Attribution", data["attribution"])] if data.get("attribution") else []
    source = f": {elasticities['source']}" if elasticities.get("source") else ""
    state = "reached" if outcome.converged else "NOT reached"
    solved = f"{state}; largest relative residual {outcome.residual:.1e}, tolerance {about['tolerance']:.0e}"
    return [
        *rows,
        ("Trade elasticities", f"{elasticities['name']}{source}"),
        ("Horizon", horizon_line(about["horizon"])),
        ("Trade imbalances", f"{closure}: {CLOSURES.get(closure, 'see the documentation')}"),
        (
            "Model",
            "Exact changes in general equilibrium after Caliendo and Parro (2015), with linked sectors",
        ),
        ("Money", f"{outcome.money}, world income held constant; worth is the equivalent variation, a year"),
        ("Equilibrium", solved),
        *([("Program", f"détente {about['version']}")] if about.get("version") else []),
    ]


def horizon_line(horizon: Mapping[str, Any]) -> str:
    """Name, overrides and values of the horizon, and the supply elasticities that it reaches."""
    values = ", ".join(f"{key} {number(value)}" for key, value in horizon["values"].items())
    reached = ", ".join(f"{key} {each['reached']:.2f}" for key, each in horizon.get("supply", {}).items())
    told = f"{horizon['told']}: {values}" if values else horizon["told"]
    return f"{told}; supply elasticities reached: {reached}" if reached else told


def warning(outcome: "Comparison") -> str:
    """A sentence when the equilibrium was not reached, else nothing."""
    if outcome.converged:
        return ""
    return (
        f"No equilibrium was reached: the residual is {outcome.residual:.1e}. The figures below are "
        "those of the last step and must not be used as results."
    )


def money(amount: float, unit: str = "USD billion") -> str:
    """An amount without its sign, in words: `USD 8.1 billion`, `USD 4.2 million`; in another `unit`, `8.1
    unit`."""
    size = abs(amount)
    if unit != "USD billion":
        return f"{format_number(size, sign=False)} {unit}"
    if size >= 0.9995:
        return f"USD {format_number(size, sign=False)} billion"
    if size >= NEGLIGIBLE:
        return f"USD {format_number(1000 * size, sign=False)} million"
    return "less than USD 0.1 million"


def _verdict(row: Mapping[str, Any], unit: str) -> str:
    """`Russia gains 0.41 % in real income (USD 8.1 billion a year)`."""
    who = _the(row["name"])
    if not math.isfinite(row["value"]):
        return f"for {who} there is no figure"
    if abs(row["value"]) < NEGLIGIBLE:
        return f"{who} sees no change large enough to print"
    verb, change = ("gains" if row["value"] > 0 else "loses"), format_percent(abs(row["value"]), sign=False)
    return f"{who} {verb} {change} in real income ({money(row['usd'], unit)} a year)"


def _count(outcome: "Comparison", target: str) -> list[str]:
    """How many gain and lose, the extremes beside the target, and the sum."""
    rows = [row for row in country_rows(outcome) if math.isfinite(row["real_income"])]
    gain = sum(row["real_income"] >= NEGLIGIBLE for row in rows)
    lose = sum(row["real_income"] <= -NEGLIGIBLE for row in rows)
    rest = len(rows) - gain - lose
    sentences = [
        f"Of the {len(rows)} countries in the data {gain} gain and {lose} lose"
        + (f"; for {rest} the change is too small to print." if rest else ".")
    ]
    others = [row for row in rows if row["code"] != target]
    if others and others[0]["real_income"] >= NEGLIGIBLE and others[-1]["real_income"] <= -NEGLIGIBLE:
        best, worst = others[0], others[-1]
        sentences.append(
            f"Leaving {_the(party_name(target))} aside, the greatest gain in percent is in "
            f"{_the(best['name'])} ({format_percent(best['real_income'])}), the greatest loss in "
            f"{_the(worst['name'])} ({format_percent(worst['real_income'])})."
        )
    total = sum(row["equivalent_variation"] for row in rows)
    side = "a gain" if total > 0 else "a loss"
    return [
        *sentences,
        f"Added up over all countries this is {side} of {money(total, outcome.money)} a year.",
    ]


def _short(row: Mapping[str, object]) -> str:
    return f"{row['name']} {row['label']}"


def _the(name: str) -> str:
    return f"the {name}" if name.startswith(_WITH_ARTICLE) else name


def _join(parts: Sequence[str]) -> str:
    return "".join(parts) if len(parts) < 2 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _unbroken(sentences: Sequence[str]) -> list[str]:
    """The sentences with no line break between a number and its percent sign."""
    return [sentence.replace(" %", "\N{NO-BREAK SPACE}%") for sentence in sentences]
