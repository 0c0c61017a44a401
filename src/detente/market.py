"""What instruments come to: prices, discounts, volumes, revenue, buyers and rents in the markets they act on.

Prices are what sellers abroad get, a mean over their sales; where the energy figures know the price of the data year they
are in USD a barrel or MMBtu, else ratios to the data year. Amounts of money are in the unit of the outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import labels
from detente.complementarity import prices, rent_part
from detente.digits import NEGLIGIBLE, format_percent, format_usd
from detente.economy import Economy
from detente.equilibrium import Equilibrium, baseline_sales
from detente.instruments import Ceiling, PriceCap, Producers, Quota
from detente.menu import figures
from detente.sources.energy_figures import PRICE

KINDS = {PriceCap: "price-cap", Quota: "quota", Producers: "producers"}
Side = tuple[Sequence[Ceiling], Equilibrium]


@dataclass(frozen=True)
class InstrumentResult:
    """What came of one instrument in one situation.

    kind, name, binds. wedge: what buyers pay over what sellers get, percent of the latter; slack: percent by which the
    rule is away from binding; seller_price, buyer_price, ceiling, world_price: in `unit` where it is known, else ratios to
    the data year (of a quota, and of producers that hold a volume, the ceiling is one of quantity); volume: ratio to the
    data year. rent: {country: amount of money}, only amounts that are not nil.
    """

    name: str
    kind: str
    binds: bool
    wedge: float
    slack: float
    seller_price: float
    buyer_price: float
    ceiling: float
    world_price: float
    volume: float
    unit: str
    rent: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data; none where a cap ended the sales and there is no price."""
        plain = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in vars(self).items()
        }
        return plain | {"total_rent": self.total_rent}

    @property
    def total_rent(self) -> float:
        """All rents together."""
        return sum(self.rent.values())


@dataclass(frozen=True)
class MarketSide:
    """A seller's exports of a good in one situation.

    price: received, net of what other ships cost; contract: what invoices say; buyer_price: what the good is worth to its
    buyers; world_price: mean of all exporters; discount: percent by which `price` is below it; volume: ratio to the data
    year; revenue: price times quantity, money; buyers: {code: money}.
    """

    price: float
    contract: float
    buyer_price: float
    world_price: float
    discount: float
    volume: float
    revenue: float
    buyers: dict[str, float] = field(repr=False)


@dataclass(frozen=True)
class Market:
    """A seller's exports of a good, in the situation compared with and in the scenario. unit: of prices."""

    exporter: str
    sector: str
    unit: str
    before: MarketSide
    after: MarketSide

    def top_buyers(self, most: int = 5) -> list[tuple[str, float, float]]:
        """(code, before, after) of the largest buyers, the EU as one."""
        names = {**self.before.buyers, **self.after.buyers}
        rows = [(code, self.before.buyers.get(code, 0.0), self.after.buyers.get(code, 0.0)) for code in names]
        return sorted(rows, key=lambda row: -max(row[1:]))[:most]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        sides = {
            when: {key: getattr(side, key) for key in MarketSide.__dataclass_fields__ if key != "buyers"}
            for when, side in (("before", self.before), ("after", self.after))
        }
        buyers = [{"country": c, "before": b, "after": a} for c, b, a in self.top_buyers()]
        return {
            "exporter": self.exporter,
            "sector": self.sector,
            "unit": self.unit,
            **sides,
            "buyers": buyers,
        }


def instrument_results(economy: Economy, side: Side, money: float) -> list[InstrumentResult]:
    """What came of each instrument of a situation. money: world factor income in the unit of the outcome."""
    instruments, found = side
    rents = _rents(instruments, found)
    made = []
    for instrument, binding, rent in zip(instruments, found.bindings, rents, strict=True):
        unit, price = _price_in_data(economy, instrument)
        level = price * binding.ceiling if _ceiling_is_price(instrument) else binding.ceiling
        world = figures().price("", "", economy.sectors[instrument.sectors[0]]) if unit else 1.0
        made.append(
            InstrumentResult(
                name=binding.name,
                kind=KINDS[type(instrument)],
                binds=binding.binds,
                wedge=100 * float(np.expm1(binding.wedge)),
                slack=100 * float(np.expm1(binding.slack)),
                seller_price=price * binding.seller_price,
                buyer_price=price * binding.buyer_price,
                ceiling=level,
                world_price=world * binding.world_price,
                volume=binding.volume,
                unit=unit,
                rent={
                    code: float(amount) * money
                    for code, amount in zip(economy.countries, rent, strict=True)
                    if amount
                },
            )
        )
    return made


def markets(economy: Economy, before: Side, after: Side, exporter: str, money: float) -> list[Market]:
    """The markets that a reader looks at: goods with an instrument in either situation, and the parts of oil and gas."""
    named = {j for instruments, _ in (before, after) for each in instruments for j in each.sectors}
    parts = {code for codes in labels.sector_parts().values() for code in codes}
    named |= {j for j, code in enumerate(economy.sectors) if code in parts}
    i = economy.countries.index(exporter)
    abroad = np.arange(len(economy.countries)) != i
    once = baseline_sales(economy)
    return [
        Market(
            exporter,
            economy.sectors[j],
            PRICE.get(economy.sectors[j], ""),
            *(_side(economy, each, once, (i, j), money) for each in (before, after)),
        )
        for j in sorted(named)
        if once[abroad, i, j].sum() > 0
    ]


class _Flows(NamedTuple):
    """Per importer of one seller's good: quantity, and price to the seller, on the invoice and to the buyer."""

    quantity: NDArray
    received: NDArray
    contract: NDArray
    worth: NDArray


def _side(economy: Economy, side: Side, once: NDArray, at: tuple[int, int], money: float) -> MarketSide:
    i, j = at
    flows = _flows(side, i, j)
    abroad = np.arange(len(economy.countries)) != i
    quantity = np.where(abroad, flows.quantity, 0.0)
    total = quantity.sum()
    weight = (
        quantity / total if total > 0 else np.where(abroad, once[:, i, j], 0.0) / once[abroad, i, j].sum()
    )
    own, mean = _data_prices(economy.countries[i], economy.sectors[j])
    world = mean * _world_price(side, once, j)
    price = own * float(weight @ flows.received)
    values = quantity * flows.received * money
    return MarketSide(
        price=price,
        contract=own * float(weight @ flows.contract),
        buyer_price=own * float(weight @ flows.worth),
        world_price=world,
        discount=100 * (1 - price / world),
        volume=float(total / once[abroad, i, j].sum()),
        revenue=float(values.sum()),
        buyers=_by_buyer(economy.countries, values),
    )


def _flows(side: Side, i: int, j: int) -> _Flows:
    instruments, found = side
    cost = float(np.asarray(found.cost_change)[i, j])
    sold = found.trade()[:, i, j]
    received = np.full(len(sold), cost)
    worth, contract, kept = received.copy(), received.copy(), np.ones(len(sold))
    for instrument, binding in zip(instruments, found.bindings, strict=True):
        if i not in instrument.exporters or j not in instrument.sectors:
            continue
        here = np.isin(np.arange(len(sold)), instrument.importers)
        grown = float(np.exp(binding.wedge))
        if not np.isfinite(grown):
            continue  # a cap that ends the sales: nothing is sold, so there is no price
        worth[here] *= grown
        if isinstance(instrument, PriceCap):
            e = instrument.enforced
            price = worth[here]
            contract[here] = e * np.minimum(price, binding.ceiling) + (1 - e) * price
            kept[here] *= 1 / (grown * (1 - rent_part(instrument, binding.wedge)))
        elif _owner(instrument) in ("exporter", i):
            received[here] *= grown
            contract[here] *= grown
    return _Flows(sold * kept / cost, received, contract, worth)


def _world_price(side: Side, once: NDArray, j: int) -> float:
    """Mean price of all exporters, by their exports of the data year; ratio to it."""
    instruments, found = side
    wedges = np.array([binding.wedge for binding in found.bindings])
    price = prices(instruments, wedges, np.asarray(found.cost_change))[:, j]
    exported = once[:, :, j].sum(axis=0) - np.diagonal(once[:, :, j])
    return float(price @ exported / exported.sum())


def _rents(instruments: Sequence[Ceiling], found: Equilibrium) -> list[NDArray]:
    """Who gets the rent of each instrument [country], in units of world factor income."""
    left = found.trade()
    parts = [
        rent_part(each, b.wedge) if np.isfinite(b.wedge) else 0.0  # sales that ended have no rent
        for each, b in zip(instruments, found.bindings, strict=True)
    ]
    cells = [np.ix_(each.importers, each.exporters, each.sectors) for each in instruments]
    for cell, part in zip(cells, parts, strict=True):
        left[cell] /= 1 - part
    rents = []
    for each, cell, part in zip(instruments, cells, parts, strict=True):
        amount = (left[cell] * part).sum(axis=2)
        left[cell] *= 1 - part
        to = _owner(each)
        got = np.zeros(left.shape[0])
        if to == "importer":
            got[list(each.importers)] = amount.sum(axis=1)
        elif to == "exporter":
            got[list(each.exporters)] = amount.sum(axis=0)
        else:
            got[int(to)] = amount.sum()
        rents.append(got)
    return rents


def _owner(instrument: Ceiling) -> str | int:
    """Who gets the rent: importer, exporter, or the place of a country."""
    if isinstance(instrument, Quota):
        return instrument.rent_to
    return "exporter" if isinstance(instrument, Producers) else "importer"


def _ceiling_is_price(instrument: Ceiling) -> bool:
    return isinstance(instrument, PriceCap) or (
        isinstance(instrument, Producers) and instrument.rule == "hold-price"
    )


def _price_in_data(economy: Economy, instrument: Ceiling) -> tuple[str, float]:
    """Unit and price of the data year for an instrument on one good of one seller, or on one good of producers."""
    goods = [economy.sectors[j] for j in instrument.sectors]
    sector = goods[0] if len(goods) == 1 else ""
    if sector not in PRICE:
        return "", 1.0
    sellers = [economy.countries[i] for i in instrument.exporters]
    seller = sellers[0] if len(sellers) == 1 else ""
    return PRICE[sector], figures().price(seller, "", sector)


def _data_prices(exporter: str, sector: str) -> tuple[float, float]:
    """Prices of the data year, the seller's and the world's; ones where the figures have none."""
    if sector not in PRICE:
        return 1.0, 1.0
    return figures().price(exporter, "", sector), figures().price("", "", sector)


def _by_buyer(countries: Sequence[str], values: NDArray) -> dict[str, float]:
    union = set(labels.country_groups()["EU27"])
    sums: dict[str, float] = {}
    for code, value in zip(countries, values.tolist(), strict=True):
        if value:
            name = "EU27" if code in union else code
            sums[name] = sums.get(name, 0.0) + value
    return sums


# In words ---------------------------------------------------------------------------------------------------


def summary(
    found: Sequence[Market], results: Sequence[InstrumentResult], money: str, most: int = 4
) -> list[str]:
    """The lines of the terminal: prices, discount, volume and revenue before and after, buyers, and each instrument."""
    lines: list[str] = []
    if found:
        head = f"{labels.country_name(found[0].exporter)}'s exports"
        lines.append(f"{head:28}{'price received':>20}{'discount':>14}{'volume':>14}{'revenue':>17}")
        lines.append(f"{'':28}{'':>20}{'to the world':>14}{'2022 = 1':>14}{money:>17}")
        lines += [_row(each) for each in found]
        lines.append(buyers(found[0], money, most))
    return [*lines, *(f"{each.name}: {told(each, money)}" for each in results)]


def told(result: InstrumentResult, money: str) -> str:
    """What came of an instrument, in one clause or two."""
    unit = f" {result.unit}" if result.unit else ""

    def price(value: float) -> str:
        return f"{value:.3g}{unit}" if unit else f"{value:.3g} of the data year"

    if result.kind == "producers":
        state = "output at its bound" if result.binds else "holds"
        head = f"{state}: margin {format_percent(result.wedge)}, output {result.volume:.3g} of the data year"
    elif not np.isfinite(result.wedge):
        without = price(result.seller_price)
        head = f"ends the sales: without them sellers still get {without}, more than {price(result.ceiling)}"
    elif not result.binds and result.kind == "price-cap":
        head = f"does not bind: {format_percent(result.slack, sign=False)} above the price"
    elif not result.binds:
        head = f"does not bind: {format_percent(result.slack, sign=False)} of room"
    else:
        limit = price(result.ceiling) if result.kind == "price-cap" else f"{result.ceiling:.3g} of 2022"
        head = f"binds at {limit}: sellers get {price(result.seller_price)}, worth {price(result.buyer_price)} to buyers"
    ranked = sorted(result.rent.items(), key=lambda item: -abs(item[1]))
    shown = [f"{_buyer(c)} {format_usd(v)}" for c, v in ranked[:3] if abs(v) >= NEGLIGIBLE]
    rent = (
        f"; rent ({money}) {format_usd(result.total_rent, sign=False)}: {', '.join(shown)}" if shown else ""
    )
    return f"{head}{rent}."


def buyers(market: Market, money: str, most: int = 4) -> str:
    """`buyers of crude oil (USD billion): China 28 → 25, …`."""
    shown = [
        f"{_buyer(code)} {format_usd(b, sign=False)} → {format_usd(a, sign=False)}"
        for code, b, a in market.top_buyers(most)
    ]
    return f"buyers of {labels.sector_name(market.sector).lower()} ({money}): {', '.join(shown)}"


def cells(market: Market) -> tuple[str, str, str, str, str]:
    """Good with unit, and before → after: price received, discount (of crude oil), volume, revenue."""
    before, after = market.before, market.after
    return (
        f"{labels.sector_name(market.sector)}, {market.unit or '2022 = 1'}",
        f"{before.price:.3g} → {after.price:.3g}",
        f"{before.discount:.0f} → {after.discount:.0f} %" if market.unit == PRICE["B06O"] else "–",
        f"{before.volume:.2f} → {after.volume:.2f}",
        f"{format_usd(before.revenue, sign=False)} → {format_usd(after.revenue, sign=False)}",
    )


def figures_of(market: Market) -> list[dict[str, Any]]:
    """Rows for a table of figures: exporter, sector, unit, situation, figure, value."""
    head = {"exporter": market.exporter, "sector": market.sector, "unit": market.unit}
    return [
        {**head, "when": when, "figure": figure, "value": getattr(side, figure)}
        for when, side in (("before", market.before), ("after", market.after))
        for figure in MarketSide.__dataclass_fields__
        if figure != "buyers"
    ]


def _row(market: Market) -> str:
    name, price, discount, volume, revenue = cells(market)
    return f"{name:28}{price:>20}{discount:>14}{volume:>14}{revenue:>17}"


def _buyer(code: str) -> str:
    return "EU27" if code == "EU27" else labels.country_name(code)
