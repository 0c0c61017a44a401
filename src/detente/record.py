"""Quantities counted in the record, not computed: measures, waits, topics of statements. docs/study.md lists them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from detente.catalogue import Catalogue
from detente.errors import InputError
from detente.evidence import Ledger
from detente.law import LAPSED, LIFTED, LegalMeasure
from detente.quantity import RECORDED

Counted = tuple[dict[str, float], str]


class Books(Protocol):
    """Where the record is kept."""

    catalogue: Catalogue
    ledger: Ledger


def _chosen(bench: Books, sender: Any, on: str, packages: Sequence[int] = ()) -> list[LegalMeasure]:
    found = list(bench.catalogue.on(on).by(sender))
    return [m for m in found if not packages or (m.package and packages[0] <= m.package <= packages[1])]


def measures(
    bench: Books,
    sender: Any,
    on: str,
    packages: Sequence[int] = (),
    rules: Sequence[str] = (),
    ended_by: str = "",
) -> Counted:
    """Share of a sender's measures in force on a day that fall under some lift rules, or have ended by a later day."""
    found = _chosen(bench, sender, on, packages)
    part = [m for m in found if not rules or m.lift_rule.rule in rules]
    if ended_by:
        part = [m for m in part if m.state(ended_by) in (LAPSED, LIFTED)]
    if not found:
        raise InputError(f"no measure of {sender} was in force on {on}.")
    return {RECORDED: 100 * len(part) / len(found)}, f"{len(part)} of {len(found)}"


def days(bench: Books, sender: Any, on: str, rules: Sequence[str], which: str) -> Counted:
    """The median over measures of the shortest or longest wait from decision to effect, days."""
    at = {"shortest": 0, "longest": 1}[which]
    waits = [m.lift_rule.days[at] for m in _chosen(bench, sender, on) if m.lift_rule.rule in rules]
    if not waits:
        raise InputError(f"no measure of {sender} in force on {on} falls under {', '.join(rules)}.")
    span = " to ".join(dict.fromkeys(map(str, (min(waits), max(waits)))))
    return {RECORDED: float(np.median(waits))}, f"{span}, {len(waits)} measures"


def topics(bench: Books, statement: str, among: Sequence[str], stance: str = "asserts") -> Counted:
    """The share of some topics on which a statement takes a stance, percent."""
    said = bench.ledger.statement(statement)
    part = [topic for topic in among if (point := said.point(topic)) and point.stance == stance]
    return {RECORDED: 100 * len(part) / len(among)}, f"{len(part)} of {len(among)}"


def agreed(bench: Books, statement: str, among: Sequence[str]) -> Counted:
    """From the share of topics that a statement asserts to the share it does not deny: its silence leaves them open."""
    least, _ = topics(bench, statement, among)
    denied, _ = topics(bench, statement, among, "denies")
    detail = f"the less if silence counts as dissent, the more if as assent; {len(among)} topics"
    return {RECORDED: least[RECORDED], f"{RECORDED}, silence as assent": 100 - denied[RECORDED]}, detail


RECORD: dict[str, Callable[..., Counted]] = {
    function.__name__: function for function in (measures, days, topics, agreed)
}
