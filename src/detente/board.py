"""Which instruments of a scenario are in force while its steps are taken, and how they are read from plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import instruments, labels
from detente.errors import InputError, unknown_name
from detente.measure import Lifting
from detente.menu import RULES, PriceCap, Producers, Quota, Rule, ServicesBan
from detente.sizes import Position

if TYPE_CHECKING:
    from detente.economy import Economy

OPEC_CHOICES = ("none", *RULES)
OPEC_SPARE = 0.05

KINDS: dict[str, type[Rule]] = {rule.kind: rule for rule in (PriceCap, Quota, ServicesBan, Producers)}


def read_rule(entry: Mapping[str, Any], place: str) -> Rule:
    """The instrument of checked plain data, keys with hyphens. Raises `InputError`."""
    given = {key.replace("-", "_"): value for key, value in entry.items() if key != "instrument"}
    if "range" in given:
        given["range"] = tuple(given["range"])
    rule = KINDS[entry["instrument"]]
    known = {one.name for one in fields(rule)}
    needed = {one.name for one in fields(rule) if one.default is MISSING and one.default_factory is MISSING}
    for key in sorted(needed - given.keys()):
        raise InputError(f"a `{rule.kind}` needs the key `{key.replace('_', '-')}`.")
    for key in given:
        if key not in known:  # a key of another instrument
            raise InputError(
                f"`{key.replace('_', '-')}` has no meaning for `{rule.kind}`. Its keys: "
                f"{', '.join(sorted(name.replace('_', '-') for name in known - {'place'}))}."
            )
    return rule(**given, place=place)


def world_of(steps: Sequence[Any]) -> str:
    """`energy` where a step tells crude, pipeline gas and LNG apart or has a price in their units, else nothing."""
    parts = {code for codes in labels.sector_parts().values() for code in codes}
    narrow = {name for name, codes in labels.sector_groups().items() if set(codes) <= parts} | parts
    for step in steps:
        names = getattr(step, "sectors", ())
        entries = [names] if isinstance(names, str) else list(names)
        named_here = {part.strip().casefold() for entry in entries for part in entry.split(",")}
        if named_here & {name.casefold() for name in narrow} or getattr(step, "unit", ""):
            return "energy"
    return ""


def opec(rule: str) -> list[Producers]:
    """The measure that `--opec` adds: none, hold-price or hold-volume. Raises `InputError` for another word."""
    if rule not in OPEC_CHOICES:
        raise unknown_name("rule of `--opec`", rule, OPEC_CHOICES)
    if rule == "none":
        return []
    return [Producers(id="opec", by="opec-plus", sectors="crude", rule=rule, spare=OPEC_SPARE)]


class _Imposed(NamedTuple):
    rule: Rule
    made: list[instruments.Ceiling]


class Board:
    """Which instruments are in force while a scenario's steps are taken."""

    def __init__(self, economy: "Economy", cuts: Position):
        self.economy, self.cuts = economy, cuts
        self.imposed: list[_Imposed] = []
        self.lifted: set[int] = set()

    def impose(self, rule: Rule) -> None:
        """Put it in force. Raises `InputError` where it reaches nothing, or flows that another one of its kind reaches."""
        rule = rule.placed(self.cuts)
        made = rule.engine(self.economy)
        if not made and not isinstance(rule, ServicesBan):
            raise InputError(
                f"no trade of the data year is reached by it: {rule} Look at `on`, `to` and `sectors`."
            )
        reach = _cells(rule, self.economy)
        for k, earlier in enumerate(self.imposed):
            same = k not in self.lifted and earlier.rule.kind == rule.kind
            if same and (_cells(earlier.rule, self.economy) & reach).any():
                raise InputError(
                    f"it reaches flows that a `{rule.kind}` of an earlier measure reaches already: {earlier.rule} "
                    "Lift that one first, or keep them apart by `on`, `to` or `sectors`."
                )
        self.imposed.append(_Imposed(rule, made))

    def ids(self) -> list[str]:
        """Of all measures imposed."""
        return [entry.rule.id for entry in self.imposed if entry.rule.id]

    def end(self, step: Lifting) -> bool:
        """Lift those that the step names as a whole; whether there was any."""
        return self._move(step, lift=True)

    def restore(self, step: Lifting) -> bool:
        """Bring back what was lifted, as far as the step names it; whether there was any."""
        return self._move(step, lift=False)

    def holds(self, step: Lifting) -> bool:
        """Whether the step names any."""
        return any(self._meant(step, entry.rule) for entry in self.imposed)

    def _move(self, step: Lifting, lift: bool) -> bool:
        meant = {k for k, entry in enumerate(self.imposed) if self._meant(step, entry.rule)}
        meant = meant - self.lifted if lift else meant & self.lifted
        self.lifted = self.lifted | meant if lift else self.lifted - meant
        return bool(meant)

    def _meant(self, step: Lifting, rule: Rule) -> bool:
        """An instrument ends as a whole: when all who impose it lift it, for all its targets and sectors."""
        if step.rules() or step.package is not None or step.id not in ("", rule.id):
            return False
        if step.instrument not in ("", rule.kind) or (step.direction != "both" and not step.instrument):
            return False
        countries, sectors = self.economy.countries, self.economy.sectors
        pairs = [(rule.by, step.by), (rule.on, step.on)] if rule.on else [(rule.by, step.by)]
        covered = all(
            set(labels.resolve_countries(one, countries)) <= set(labels.resolve_countries(other, countries))
            for one, other in pairs
        )
        goods = set(labels.resolve_sectors(rule.sectors, sectors))
        return covered and goods <= set(labels.resolve_sectors(step.sectors, sectors))

    def _now(self) -> list[_Imposed]:
        return [entry for k, entry in enumerate(self.imposed) if k not in self.lifted]

    def instruments(self) -> tuple[instruments.Ceiling, ...]:
        """Those in force, for a `Shock`."""
        return tuple(each for entry in self._now() for each in entry.made)

    def cost(self, cost: NDArray) -> NDArray:
        """Trade costs with those that bans on services make [importer, exporter, sector]."""
        for entry in self._now():
            if isinstance(entry.rule, ServicesBan):
                cost = np.where(_cells(entry.rule, self.economy), cost * entry.rule.factor, cost)
        return cost


def _cells(rule: Rule, economy: "Economy") -> NDArray[np.bool_]:
    mask = np.zeros(economy.trade_share.shape, bool)
    mask[np.ix_(*rule.places(economy))] = True
    return mask
