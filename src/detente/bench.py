"""Where quantities are computed: every situation solved once, the catalogue and the ledger at hand.

Kinds of the model are computed at each `Setting`; kinds of the record (measures, days, topics, agreed) are
counted once. docs/study.md lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np

from detente import labels
from detente.bench_game import GAME
from detente.calibration import calibrate
from detente.catalogue import Catalogue, load_catalogue
from detente.digits import NEGLIGIBLE
from detente.economy import Economy
from detente.errors import InputError, unknown_name
from detente.evidence import Ledger, load_ledger
from detente.market import MarketSide
from detente.outcome import Outcome, simulate
from detente.quantity import Quantity, Setting
from detente.record import RECORD
from detente.scenario import Scenario
from detente.senders import Coalition, coalition
from detente.sizes import CENTRAL
from detente.world import World

COALITIONS = 1e-9  # tolerance of their equilibria: a thousand of them a setting


@dataclass
class Bench:
    """Economies, scenarios, catalogue and ledger that quantities are taken of; all solved once and kept.

    readings: {name: {scenario: what stands for it under that reading}}; scenarios: those the study defines; grids: other
    settings, by the name by which quantities ask for them.
    """

    settings: Sequence[Setting]
    readings: Mapping[str, Mapping[str, Any]]
    scenarios: Mapping[str, Mapping[str, Any]]
    grids: Mapping[str, Sequence[Setting]] = field(default_factory=dict)
    world: World = field(default_factory=World.load)
    catalogue: Catalogue = field(default_factory=load_catalogue)
    ledger: Ledger = field(default_factory=load_ledger)

    def __post_init__(self):
        self._economies: dict[tuple[str, str, str, str | None], Economy] = {}
        self._worlds: dict[str | None, World] = {None: self.world}
        self._outcomes: dict[tuple[Setting, str, str], Outcome] = {}
        self._coalitions: dict[tuple[Setting, str], Coalition] = {}

    def outcome(self, setting: Setting, scenario: str, against: str) -> Outcome:
        """The comparison of two situations at a setting."""
        key = (setting, scenario, against)
        if key not in self._outcomes:
            placed = [self._situation(setting, name) for name in (scenario, against)]
            self._outcomes[key] = simulate(self._economy(setting), *placed)
        return self._outcomes[key]

    def coalition(self, setting: Setting, scenario: str) -> Coalition:
        """All coalitions of the senders at a setting, from what they keep under a scenario to nothing."""
        key = setting, scenario
        if key not in self._coalitions:
            keep = self._situation(setting, scenario)
            self._coalitions[key] = coalition(self._economy(setting), keep, tolerance=COALITIONS)
        return self._coalitions[key]

    def _economy(self, setting: Setting) -> Economy:
        behaviour = (setting.elasticities, setting.closure, setting.horizon, setting.world)
        if behaviour not in self._economies:
            if setting.world not in self._worlds:
                self._worlds[setting.world] = World.load(setting.world)
            self._economies[behaviour] = calibrate(self._worlds[setting.world], *behaviour[:3])
        return self._economies[behaviour]

    def _situation(self, setting: Setting, name: str) -> Scenario:
        side: Any = self.readings[setting.reading].get(name) or self.scenarios.get(name, name)
        return replace(Scenario.load(side), cuts=setting.cuts)

    def known(self, setting: Setting, wanted: Sequence[str]) -> bool:
        """Whether this reading of the sanctions can express all of these scenarios."""
        named = self.readings[setting.reading]
        return not named or all(name in named or name == "baseline" for name in wanted)

    def quantity(self, key: str, entry: Mapping[str, Any]) -> Quantity:
        """The quantity that an entry of a study's file describes. Raises `InputError` with its key."""
        label, unit, kind = entry["label"], entry["unit"], entry["kind"]
        readings = entry.get("readings", list(self.readings))
        rest = {name: entry[name] for name in entry.keys() - {"label", "unit", "kind", "readings", "grid"}}
        try:
            _refuse_unfit(RECORD.get(kind) or MODEL[kind], rest)
            if kind in RECORD:
                values, detail = RECORD[kind](self, **rest)
                return Quantity(key, label, unit, values, detail)
            wanted = [
                rest[name] for name in ("scenario", "against", "beside", "beside_against") if name in rest
            ]
            settings = self.settings
            if "grid" in entry:
                if entry["grid"] not in self.grids:
                    raise unknown_name("grid of settings", entry["grid"], self.grids)
                settings = self.grids[entry["grid"]]
            usable = [s for s in settings if s.reading in readings and self.known(s, wanted)]
            values = {str(setting): float(MODEL[kind](self, setting, **rest)) for setting in usable}
        except InputError as problem:
            raise InputError(f"Quantity `{key}`: {problem}") from None
        if not values or not np.isfinite(list(values.values())).all():
            raise InputError(f"Quantity `{key}` has no finite value at every setting; look at its scenarios.")
        return Quantity(key, label, unit, values)

    @cached_property
    def quality(self) -> dict[str, Any]:
        """Whether everything converged, and the largest residual."""
        solved, games = self._outcomes.values(), self._coalitions.values()
        residuals = [outcome.residual for outcome in solved] + [each.residual for each in games]
        return {
            "converged": all(outcome.converged for outcome in solved) and not any(g.messages for g in games),
            "residual": max(residuals, default=0.0),
            "comparisons": len(self._outcomes),
            "coalitions": sum(each.variation.sizes["coalition"] for each in games),
        }

    @property
    def catalogue_until(self) -> date:
        """The day up to which every file of the catalogue is kept."""
        return min(self.catalogue.as_of.values())

    def situations(self) -> list[Scenario]:
        """Every situation that was solved, once, as the scenario it is."""
        found = [s for o in self._outcomes.values() for s in (o.situation_before, o.situation_after)]
        return list({s.name: replace(s, cuts=CENTRAL) for s in found if isinstance(s, Scenario)}.values())

    def elasticities(self) -> dict[str, str]:
        """{name: source} of the sets used."""
        sets = [outcome.provenance["elasticities"] for outcome in self._outcomes.values()]
        return {str(one["name"]): str(one["source"]) for one in sets}

    @property
    def any_outcome(self) -> Outcome:
        """One of the outcomes, for what they all rest on."""
        return next(iter(self._outcomes.values()))


def _refuse_unfit(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raises `InputError` for keys that a kind of quantity does not have, or that it lacks."""
    keys = {name: p for name, p in signature(function).parameters.items() if name not in ("bench", "setting")}
    for name in given:
        if name not in keys:
            raise unknown_name("key", name, keys)
    for name, parameter in keys.items():
        if parameter.default is parameter.empty and name not in given:
            raise InputError(f"the key `{name}` is missing. Keys of this kind: {', '.join(keys)}.")


# Kinds of the model: (bench, setting, …) -> value ----------------------------------------------------------


def _members(outcome: Outcome, party: str, without: str = "") -> list[str]:
    known = list(outcome.economy.countries)
    left_out = labels.resolve_countries(without, known) if without else []
    return [code for code in labels.resolve_countries(party, known) if code not in left_out]


def real_income(
    bench: Bench, setting: Setting, scenario: str, against: str, party: str, without: str = ""
) -> float:
    """Exact change in real income of a country or group, percent."""
    outcome = bench.outcome(setting, scenario, against)
    return outcome.group(_members(outcome, party, without))["real_income"]


def worth(
    bench: Bench, setting: Setting, scenario: str, against: str, party: str, without: str = ""
) -> float:
    """Equivalent variation of a country or group, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    return outcome.group(_members(outcome, party, without))["equivalent_variation"]


def worth_per_head(
    bench: Bench, setting: Setting, scenario: str, against: str, party: str, without: str = ""
) -> float:
    """Equivalent variation of a country or group over its residents, USD a head a year."""
    outcome = bench.outcome(setting, scenario, against)
    members, known = _members(outcome, party, without), labels.population()
    unknown = [code for code in members if code not in known]
    if unknown:
        raise InputError(f"there is no population of {', '.join(unknown)} in `data/population.csv`.")
    billions = worth(bench, setting, scenario, against, party, without)
    return 1e9 * billions / sum(known[code] for code in members)


def worth_of_following(
    bench: Bench, setting: Setting, scenario: str, against: str, beside: str, beside_against: str, party: str
) -> float:
    """How much more a party gains in `scenario` over `against` than in `beside` over `beside_against`, percent."""
    after = worth(bench, setting, scenario, against, party)
    before = worth(bench, setting, beside, beside_against, party)
    return 100 * (_ratio(after, before) - 1)


def relative_loss(bench: Bench, setting: Setting, scenario: str, against: str, parties: Sequence[str]):
    """Change in real income of the first party over that of the second, both in percent."""
    return _ratio(*(real_income(bench, setting, scenario, against, party) for party in parties))


def relative_worth(bench: Bench, setting: Setting, scenario: str, against: str, parties: Sequence[str]):
    """Equivalent variation of the first party over that of the second."""
    return _ratio(*(worth(bench, setting, scenario, against, party) for party in parties))


def burden_above_fair(
    bench: Bench, setting: Setting, scenario: str, against: str, party: str, among: str
) -> float:
    """What a party bears above a burden equal in percent of income for all of `among`, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    own, all_of = outcome.group(_members(outcome, party)), outcome.group(_members(outcome, among))
    fair = all_of["equivalent_variation"] * own["income_before"] / all_of["income_before"]
    return fair - own["equivalent_variation"]


def part_of_gain(
    bench: Bench, setting: Setting, scenario: str, beside: str, against: str, party: str
) -> float:
    """A party's gain from `scenario` in percent of its gain from `beside`."""
    part, whole = (worth(bench, setting, name, against, party) for name in (scenario, beside))
    return 100 * _ratio(part, whole)


def trade(
    bench: Bench,
    setting: Setting,
    scenario: str,
    against: str,
    exporter: str,
    importer: str,
    sectors: str = "all",
    both_ways: bool = False,
) -> float:
    """Change in the value of trade from one party to another (or both ways), percent."""
    before, after = _flow(bench, setting, scenario, against, exporter, importer, sectors)
    if both_ways:
        back = _flow(bench, setting, scenario, against, importer, exporter, sectors)
        before, after = before + back[0], after + back[1]
    return 100 * (_ratio(after, before) - 1)


def trade_worth(
    bench: Bench,
    setting: Setting,
    scenario: str,
    against: str,
    exporter: str,
    importer: str,
    sectors: str = "all",
) -> float:
    """Change in the value of trade from one party to another, USD billion a year."""
    before, after = _flow(bench, setting, scenario, against, exporter, importer, sectors)
    return after - before


def import_share(
    bench: Bench, setting: Setting, scenario: str, against: str, importer: str, exporter: str
) -> float:
    """Share of a party in an importer's purchases abroad under `scenario`, percent."""
    return 100 * _ratio(
        *(_flow(bench, setting, scenario, against, who, importer)[1] for who in (exporter, "all"))
    )


def share_gained(
    bench: Bench, setting: Setting, scenario: str, beside: str, against: str, importer: str, exporter: str
) -> float:
    """How much larger that share is under `scenario` than under `beside`, percentage points."""
    return import_share(bench, setting, scenario, against, importer, exporter) - import_share(
        bench, setting, beside, against, importer, exporter
    )


def gap_filled(
    bench: Bench, setting: Setting, scenario: str, beside: str, against: str, importer: str, party: str
) -> float:
    """A party's extra sales under `scenario`, in percent of those of the rest of the coalition under `beside`."""
    extra = trade_worth(bench, setting, scenario, against, party, importer)
    everyone, own = (
        trade_worth(bench, setting, beside, against, who, importer) for who in ("coalition", party)
    )
    return 100 * _ratio(extra, everyone - own)


def income_gained(bench: Bench, setting: Setting, scenario: str, beside: str, against: str, party: str):
    """A party's change in real income under `scenario` less that under `beside`, percentage points."""
    first, second = (real_income(bench, setting, name, against, party) for name in (scenario, beside))
    return first - second


def output(bench: Bench, setting: Setting, scenario: str, against: str, party: str, sectors: str) -> float:
    """Change in the value of a party's output in some sectors, against world income, percent."""
    outcome = bench.outcome(setting, scenario, against)
    goods = labels.resolve_sectors(sectors, list(outcome.economy.sectors))
    part = outcome.data.sel(country=_members(outcome, party), sector=goods)
    return 100 * (_ratio(float(part["output_after"].sum()), float(part["output_before"].sum())) - 1)


def market(
    bench: Bench, setting: Setting, scenario: str, against: str, exporter: str, sectors: str, figure: str
) -> float:
    """Change in a figure of an exporter's market, percent: price, contract, buyer_price, world_price, volume, revenue."""
    sides = _market(bench, setting, scenario, against, exporter, sectors)
    before, after = (_figure(side, figure) for side in sides)
    return 100 * (_ratio(after, before) - 1)


def discount(
    bench: Bench, setting: Setting, scenario: str, against: str, exporter: str, sectors: str
) -> float:
    """By how much what an exporter gets abroad is below the world price under `scenario`, percent of that price."""
    return _market(bench, setting, scenario, against, exporter, sectors)[1].discount


def market_part(
    bench: Bench,
    setting: Setting,
    scenario: str,
    beside: str,
    against: str,
    exporter: str,
    sectors: str,
    figure: str,
) -> float:
    """Rise of a figure of a market under `scenario`, in percent of its rise under `beside`."""
    given = exporter, sectors, figure
    part, whole = (market(bench, setting, name, against, *given) for name in (scenario, beside))
    return 100 * _ratio(part, whole)


def rent(bench: Bench, setting: Setting, scenario: str, against: str, party: str) -> float:
    """What a party gets of the rents of price caps and quotas under `scenario`, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    return float(outcome.data["rent"].sel(country=_members(outcome, party)).sum())


def _market(
    bench: Bench, setting: Setting, scenario: str, against: str, exporter: str, sectors: str
) -> tuple[MarketSide, MarketSide]:
    outcome = bench.outcome(setting, scenario, against)
    for found in outcome.markets:
        if (found.exporter, found.sector) == (exporter, sectors):
            return found.before, found.after
    known = ", ".join(f"{found.exporter} {found.sector}" for found in outcome.markets) or "none"
    raise InputError(f"`{scenario}` has no market of {exporter} in {sectors}; it has {known}.")


def _figure(side: MarketSide, figure: str) -> float:
    known = [name for name in MarketSide.__dataclass_fields__ if name not in ("buyers", "discount")]
    if figure not in known:
        raise unknown_name("figure of a market", figure, known)
    return float(getattr(side, figure))


def _flow(
    bench: Bench,
    setting: Setting,
    scenario: str,
    against: str,
    exporter: str,
    importer: str,
    sectors: str = "all",
) -> tuple[float, float]:
    """Trade from one party to another before and after, USD billion, each country's trade with itself left out."""
    outcome = bench.outcome(setting, scenario, against)
    goods = labels.resolve_sectors(sectors, list(outcome.economy.sectors))
    flows = outcome.trade().sel(
        exporter=_members(outcome, exporter), importer=_members(outcome, importer), sector=goods
    )
    flows = flows.where(flows["exporter"] != flows["importer"], 0.0)
    return float(flows["before"].sum()), float(flows["after"].sum())


def _ratio(part: float, whole: float) -> float:
    if abs(whole) < NEGLIGIBLE:
        raise InputError("its denominator is too small for a ratio to mean anything.")
    return part / whole


MODEL: dict[str, Callable[..., float]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        real_income, worth, worth_per_head, worth_of_following, relative_loss, relative_worth, burden_above_fair,
        part_of_gain, trade, trade_worth, import_share, share_gained, gap_filled, income_gained, output,
        market, discount, market_part, rent,
    )
} | GAME  # fmt: skip
