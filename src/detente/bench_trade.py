"""Kinds of quantities of the trade model: real income, trade and markets of two situations compared (docs/study.md)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from detente import labels
from detente.errors import InputError, unknown_name
from detente.market import MarketSide
from detente.outcome import Outcome
from detente.quantity import Setting, ratio


class Compared(Protocol):
    """Where situations are compared once and kept."""

    def outcome(self, setting: Setting, scenario: str, against: str) -> Outcome:
        """The comparison of two situations at a setting."""
        ...


def _members(outcome: Outcome, party: str, without: str = "") -> list[str]:
    known = list(outcome.economy.countries)
    left_out = labels.resolve_countries(without, known) if without else []
    return [code for code in labels.resolve_countries(party, known) if code not in left_out]


def real_income(
    bench: Compared, setting: Setting, scenario: str, against: str, party: str, without: str = ""
) -> float:
    """Exact change in real income of a country or group, percent."""
    outcome = bench.outcome(setting, scenario, against)
    return outcome.group(_members(outcome, party, without))["real_income"]


def worth(
    bench: Compared, setting: Setting, scenario: str, against: str, party: str, without: str = ""
) -> float:
    """Equivalent variation of a country or group, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    return outcome.group(_members(outcome, party, without))["equivalent_variation"]


def worth_per_head(
    bench: Compared, setting: Setting, scenario: str, against: str, party: str, without: str = ""
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
    bench: Compared,
    setting: Setting,
    scenario: str,
    against: str,
    beside: str,
    beside_against: str,
    party: str,
) -> float:
    """How much more a party gains in `scenario` over `against` than in `beside` over `beside_against`, percent."""
    after = worth(bench, setting, scenario, against, party)
    before = worth(bench, setting, beside, beside_against, party)
    return 100 * (ratio(after, before) - 1)


def relative_loss(bench: Compared, setting: Setting, scenario: str, against: str, parties: Sequence[str]):
    """Change in real income of the first party over that of the second, both in percent."""
    return ratio(*(real_income(bench, setting, scenario, against, party) for party in parties))


def relative_worth(bench: Compared, setting: Setting, scenario: str, against: str, parties: Sequence[str]):
    """Equivalent variation of the first party over that of the second."""
    return ratio(*(worth(bench, setting, scenario, against, party) for party in parties))


def burden_above_fair(
    bench: Compared, setting: Setting, scenario: str, against: str, party: str, among: str
) -> float:
    """What a party bears above a burden equal in percent of income for all of `among`, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    own, all_of = outcome.group(_members(outcome, party)), outcome.group(_members(outcome, among))
    fair = all_of["equivalent_variation"] * own["income_before"] / all_of["income_before"]
    return fair - own["equivalent_variation"]


def part_of_gain(
    bench: Compared, setting: Setting, scenario: str, beside: str, against: str, party: str
) -> float:
    """A party's gain from `scenario` in percent of its gain from `beside`."""
    part, whole = (worth(bench, setting, name, against, party) for name in (scenario, beside))
    return 100 * ratio(part, whole)


def trade(
    bench: Compared,
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
    return 100 * (ratio(after, before) - 1)


def trade_worth(
    bench: Compared,
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
    bench: Compared, setting: Setting, scenario: str, against: str, importer: str, exporter: str
) -> float:
    """Share of a party in an importer's purchases abroad under `scenario`, percent."""
    return 100 * ratio(
        *(_flow(bench, setting, scenario, against, who, importer)[1] for who in (exporter, "all"))
    )


def share_gained(
    bench: Compared, setting: Setting, scenario: str, beside: str, against: str, importer: str, exporter: str
) -> float:
    """How much larger that share is under `scenario` than under `beside`, percentage points."""
    return import_share(bench, setting, scenario, against, importer, exporter) - import_share(
        bench, setting, beside, against, importer, exporter
    )


def gap_filled(
    bench: Compared, setting: Setting, scenario: str, beside: str, against: str, importer: str, party: str
) -> float:
    """A party's extra sales under `scenario`, in percent of those of the rest of the coalition under `beside`."""
    extra = trade_worth(bench, setting, scenario, against, party, importer)
    everyone, own = (
        trade_worth(bench, setting, beside, against, who, importer) for who in ("coalition", party)
    )
    return 100 * ratio(extra, everyone - own)


def income_gained(bench: Compared, setting: Setting, scenario: str, beside: str, against: str, party: str):
    """A party's change in real income under `scenario` less that under `beside`, percentage points."""
    first, second = (real_income(bench, setting, name, against, party) for name in (scenario, beside))
    return first - second


def output(bench: Compared, setting: Setting, scenario: str, against: str, party: str, sectors: str) -> float:
    """Change in the value of a party's output in some sectors, against world income, percent."""
    outcome = bench.outcome(setting, scenario, against)
    goods = labels.resolve_sectors(sectors, list(outcome.economy.sectors))
    part = outcome.data.sel(country=_members(outcome, party), sector=goods)
    return 100 * (ratio(float(part["output_after"].sum()), float(part["output_before"].sum())) - 1)


def market(
    bench: Compared, setting: Setting, scenario: str, against: str, exporter: str, sectors: str, figure: str
) -> float:
    """Change in a figure of an exporter's market, percent: price, contract, buyer_price, world_price, volume, revenue."""
    sides = _market(bench, setting, scenario, against, exporter, sectors)
    before, after = (_figure(side, figure) for side in sides)
    return 100 * (ratio(after, before) - 1)


def discount(
    bench: Compared, setting: Setting, scenario: str, against: str, exporter: str, sectors: str
) -> float:
    """By how much what an exporter gets abroad is below the world price under `scenario`, percent of that price."""
    return _market(bench, setting, scenario, against, exporter, sectors)[1].discount


def market_part(
    bench: Compared,
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
    return 100 * ratio(part, whole)


def rent(bench: Compared, setting: Setting, scenario: str, against: str, party: str) -> float:
    """What a party gets of the rents of price caps and quotas under `scenario`, USD billion a year."""
    outcome = bench.outcome(setting, scenario, against)
    return float(outcome.data["rent"].sel(country=_members(outcome, party)).sum())


def _market(
    bench: Compared, setting: Setting, scenario: str, against: str, exporter: str, sectors: str
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
    bench: Compared,
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


TRADE: dict[str, Callable[..., float]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        real_income, worth, worth_per_head, worth_of_following, relative_loss, relative_worth, burden_above_fair,
        part_of_gain, trade, trade_worth, import_share, share_gained, gap_filled, income_gained, output,
        market, discount, market_part, rent,
    )
}  # fmt: skip
