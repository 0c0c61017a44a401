"""Sentences about an outcome, composed from its numbers: who gains, who loses, by how much, and what that
leaves out."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .digits import NEGLIGIBLE, format_number, format_percent
from .tables import country_rows, income_rows, partner_rows, party_name, party_row

if TYPE_CHECKING:
    from .outcome import Outcome

SCOPE = (
    "These are long-run effects that run through trade alone, in a static model. Investment, finance, the return "
    "of firms, the course of the war and every aim other than income lie outside it, and the sizes depend on the "
    "data and the elasticities named below. The figures say what a change would do; they do not say whether it is "
    "right."
)
CLOSURES = {
    "share-of-world": "every country’s trade imbalance stays the same share of world income",
    "share-of-own": "every country’s trade imbalance stays the same share of its own income",
    "balanced": "trade imbalances were removed first, so every country’s trade is balanced",
    "fixed": "every country’s trade imbalance stays fixed in units of world income",
}
_WITH_ARTICLE = ("United ", "European Union", "Netherlands", "Philippines", "Czech Republic", "DR Congo")


def answer(outcome: "Outcome", target: str, parties: Mapping[str, Sequence[str]]) -> list[str]:
    """The result in a few sentences; changes too small to print count as neither gain nor loss."""
    one = party_row(outcome, target)
    against = f"“{outcome.against}”" if outcome.against else "the baseline"
    first = (
        f"With “{outcome.scenario}” in place of {against}, {_verdict(one['name'], one['value'], one['usd'])}."
    )
    foremost = [name for names in parties.values() for name in [name for name in names if name != target][:2]]
    others = [party_row(outcome, name) for name in foremost]
    told = [_verdict(row["name"], row["value"], row["usd"]) for row in others[:6]]
    second = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in [_join(told)] if sentence]
    return [first, *second, *_count(outcome, target)]


def situations(outcome: "Outcome") -> list[dict[str, object]]:
    """The two situations compared, each with its measures in sentences."""
    against = outcome.against or "the baseline"
    return [
        {"heading": "The situation examined", "name": outcome.scenario, "sentences": outcome.sentences},
        {"heading": "Compared with", "name": against, "sentences": _against_sentences(outcome)},
    ]


def alternatives(outcome: "Outcome", target: str, parties: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """{chart: what it shows, for those who cannot see it}."""
    rows = income_rows(outcome)
    extremes = ""
    if rows:
        extremes = f" Greatest gain: {_short(rows[0])}; greatest loss: {_short(rows[-1])}."
    bars = "; ".join(_short(party_row(outcome, name)) for names in parties.values() for name in names)
    partners = sorted(partner_rows(outcome, target), key=lambda row: -abs(row["exports"]))[:3]
    trade = "; ".join(f"{row['name']} {format_number(row['exports'])}" for row in partners)
    name = party_name(target)
    return {
        "real_income_map": f"World map of the change in real income, in percent.{extremes}",
        "real_income_bars": f"Bars of the change in real income: {bars}.",
        "trade_by_partner": f"Bars of the change in {name}’s exports and imports by partner, in USD billion. "
        f"Largest changes in exports: {trade}.",
        "trade_by_product": f"Bars of the change in {name}’s exports of crude oil and gas and of refined oil "
        "by buyer, in USD billion.",
    }


def facts(outcome: "Outcome") -> list[tuple[str, str]]:
    """Terms and descriptions for the foot of the page: data, closure, elasticities, how exactly it was
    solved."""
    about = outcome.provenance
    data, elasticities, closure = about["data"], about["elasticities"], about["closure"]
    rows = [("Data", f"{data['title']}, year {data['year']}. Source: {data['source']}")]
    rows += [("Terms of the data", data["licence"])] if data.get("licence") else []
    rows += [("Attribution", data["attribution"])] if data.get("attribution") else []
    source = f": {elasticities['source']}" if elasticities.get("source") else ""
    state = "reached" if outcome.converged else "NOT reached"
    return [
        *rows,
        ("Trade elasticities", f"{elasticities['name']}{source}"),
        ("Trade imbalances", f"{closure}: {CLOSURES.get(closure, 'see the documentation')}"),
        (
            "Model",
            "Exact changes in general equilibrium after Caliendo and Parro (2015), with linked sectors",
        ),
        (
            "Money",
            f"USD billion of {data['year']}, world income held constant; worth = equivalent variation a year",
        ),
        (
            "Equilibrium",
            f"{state}; largest relative residual {outcome.residual:.1e}, tolerance {about['tolerance']:.0e}",
        ),
    ]


def warning(outcome: "Outcome") -> str:
    """A sentence when the equilibrium was not reached, else nothing."""
    if outcome.converged:
        return ""
    return (
        f"No equilibrium was reached: the residual is {outcome.residual:.1e}. The figures below are those of the "
        "last step and must not be used as results."
    )


def money(billion: float) -> str:
    """An amount without its sign, in words: `USD 8.1 billion`, `USD 4.2 million`."""
    size = abs(billion)
    if size >= 0.9995:
        return f"USD {format_number(size, sign=False)} billion"
    if size >= NEGLIGIBLE:
        return f"USD {format_number(1000 * size, sign=False)} million"
    return "less than USD 0.1 million"


def _verdict(name: str, value: float, usd: float) -> str:
    """`Russia gains 0.41 % in real income (USD 8.1 billion a year)`."""
    who = _the(name)
    if not math.isfinite(value):
        return f"for {who} there is no figure"
    if abs(value) < NEGLIGIBLE:
        return f"{who} sees no change that could be printed"
    verb = "gains" if value > 0 else "loses"
    return f"{who} {verb} {format_percent(abs(value), sign=False)} in real income ({money(usd)} a year)"


def _count(outcome: "Outcome", target: str) -> list[str]:
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
            f"Leaving {_the(party_name(target))} aside, the greatest gain in percent is in {_the(best['name'])} "
            f"({format_percent(best['real_income'])}), the greatest loss in {_the(worst['name'])} "
            f"({format_percent(worst['real_income'])})."
        )
    total = sum(row["equivalent_variation"] for row in rows)
    side = "a gain" if total > 0 else "a loss"
    return [*sentences, f"Added up over all countries this is {side} of {money(total)} a year."]


def _short(row: Mapping[str, object]) -> str:
    return f"{row['name']} {row['label']}"


def _the(name: str) -> str:
    return f"the {name}" if name.startswith(_WITH_ARTICLE) else name


def _join(parts: Sequence[str]) -> str:
    return "".join(parts) if len(parts) < 2 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _against_sentences(outcome: "Outcome") -> list[str]:
    return list(getattr(outcome, "against_sentences", ())) or ["The data as they are."]
