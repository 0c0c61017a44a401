"""How the years of a path are put together: measures, lost customers, foreign owners, finance, as the user sets them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detente import finance, labels
from detente.calibration import UNITS_IN_USD
from detente.cells import remembering
from detente.dynamics import Growth, Year, investment_mix
from detente.economy import Economy
from detente.entry import Terms, share_entering, threshold, value_of_waiting
from detente.errors import InputError
from detente.ownership import Holdings, Owned, Treatment, owned
from detente.positions import End, Positions
from detente.schedule import Moment
from detente.shock import Shock

CONDUITS = (
    "CYP",
)  # what is booked to it in Russia is about what the IMF finds to be Russian money: no owner abroad
INVESTMENT_GOODS = {  # parts of investment in the world, from memory of national accounts: to be checked
    "F": 0.5, "C25": 0.05, "C26": 0.06, "C27": 0.05, "C28": 0.12, "C29": 0.08, "C30": 0.04, "J62_63": 0.06, "M": 0.04,
}  # fmt: skip
ENTRY = {"discount": 0.1, "decay": 0.05, "volatility": 0.3, "median": 0.4, "dispersion": 0.7}
RELEASE_YEARS = 5
LONG = 200  # years after which owners have come or gone for good


@dataclass(frozen=True)
class Settings:
    """What moves besides trade, and at which values.

    capital: whether it accumulates. hysteresis: ρ for all sectors, "sectors" for `Positions.persistence`, or None.
    foreign: whether part of the capital belongs to others. finance: risk premium, payments, reserves. rate: of discount, a
    year. reversal: p, the chance a year that relief ends, which keeps owners away. end: of the ranges of figures. buy_back:
    whether owners who return buy back what they sold. investment_goods: whether investment has a mix of its own.
    positions: the figures.
    """

    capital: bool = True
    hysteresis: float | str | None = "sectors"
    foreign: bool = True
    finance: bool = False
    rate: float = 0.03
    reversal: float = 0.0
    end: End = "value"
    buy_back: bool = False
    investment_goods: bool = False
    positions: Positions = field(default_factory=Positions.load, repr=False)

    def __post_init__(self):
        if not 0 < self.rate < 1:
            raise InputError(
                f"The rate of discount is {self.rate:g}; expected a yearly rate above 0, as 0.03."
            )
        if not 0 <= self.reversal < 1:
            raise InputError(
                f"The chance of reversal is {self.reversal:g} a year; expected from 0 to below 1."
            )

    @property
    def told(self) -> str:
        """What is reckoned with, in one line."""
        rho = self.hysteresis
        memory = (
            "off" if rho is None or rho == 0 else "by sector" if isinstance(rho, str) else f"{rho:g} a year"
        )
        parts = [
            f"capital {'accumulates' if self.capital else 'held'}",
            f"persistence of lost positions {memory}",
            f"foreign capital {'on' if self.foreign else 'off'}",
            f"finance {'on' if self.finance else 'off'}",
        ]
        parts += [f"figures at {self.end} ends"] if self.end != "value" else []
        parts += ["investment with goods of its own"] if self.investment_goods else []
        parts += ["owners buy back"] if self.buy_back else []
        return ", ".join(parts)


def by_country(settings: Settings, name: str, countries: Sequence[str]) -> NDArray:
    """A figure for each country [country]; the default for codes that are no country, as aggregates."""
    known = labels.countries()
    return np.array(
        [
            settings.positions.figure(name, code if code in known else "").at(settings.end)
            for code in countries
        ]
    )


class Entry(NamedTuple):
    """What a chance of reversal does to firms: threshold (yearly profit per unit of sunk cost that is needed), waiting
    (what it is worth to a firm that could earn the median, per unit of sunk cost) and the share that goes in."""

    chance: float
    threshold: float
    waiting: float
    share: float


@cache
def entry(chance: float) -> Entry:
    """Entry under a chance of reversal a year, at `ENTRY`: illustrations, since no source measures firms' prospects."""
    terms = Terms(
        discount=ENTRY["discount"],
        decay=ENTRY["decay"],
        hazard=-np.log1p(-chance),
        volatility=ENTRY["volatility"],
    )
    median = ENTRY["median"]
    share = share_entering(terms, median, ENTRY["dispersion"])
    return Entry(chance, float(threshold(terms)), float(value_of_waiting(terms, median, 1.0)), float(share))


class Maker:
    """Years of paths for one economy and target."""

    def __init__(self, economy: Economy, target: str, settings: Settings):
        if economy.unit not in UNITS_IN_USD and (settings.foreign or settings.finance):
            raise InputError(
                f"Stocks are in USD and this economy is in `{economy.unit}`. Leave foreign capital and finance off."
            )
        self.settings, self.target = settings, economy.countries.index(target)
        self.countries = list(economy.countries)
        self.money = (
            economy.unit_value * UNITS_IN_USD.get(economy.unit, 1e9) / 1e9
        )  # of the numéraire, USD billion
        self.eta, self.delta = (
            by_country(settings, name, self.countries) for name in ("capital_share", "depreciation")
        )
        of_gdp = by_country(settings, "investment_share", self.countries)
        added, income = np.asarray(economy.value_added), np.asarray(economy.income)
        self.invested = np.minimum(of_gdp * added / income, 0.6)
        self.holdings = self._holdings(self.invested * income / self.delta, added)
        self.economy = economy
        if settings.foreign:
            assert self.holdings is not None
            self.economy = economy.with_claims(self.holdings.claims)

    @property
    def growth(self) -> Growth | None:
        """How capital accumulates, or None."""
        if not self.settings.capital:
            return None
        mix = None
        if self.settings.investment_goods:
            wanted = np.array([INVESTMENT_GOODS.get(code, 0.0) for code in self.economy.sectors])
            mix = investment_mix(self.economy.consumption_share, wanted, self.invested)
        return Growth(self.eta, self.delta, self.invested, mix)

    def _holdings(self, capital: NDArray, added: NDArray) -> Holdings | None:
        if not self.settings.foreign:
            return None
        n, known = len(self.countries), labels.countries()
        codes = [code for code in self.countries if code in known]
        stock = np.zeros((n, n))
        at = [self.countries.index(code) for code in codes]
        stock[np.ix_(at, at)] = self.settings.positions.stock(codes, self.settings.end, missing=0.0)
        owners = [code not in CONDUITS and k != self.target for k, code in enumerate(self.countries)]
        column = np.where(owners, stock[:, self.target], 0.0) / self.money
        stock = np.zeros((n, n))
        stock[:, self.target] = column
        earned = by_country(self.settings, "foreign_return", self.countries)
        return Holdings(stock * earned / added, stock, capital, self.delta)

    @property
    def returning(self) -> float:
        """Share of the owners who would return to sure relief that do return."""
        return entry(self.settings.reversal).share / entry(0.0).share

    def years(self, moments: Sequence[Moment]) -> tuple[list[Year], list[Owned] | None]:
        """A path's years, and its foreign capital."""
        held = [np.array([code in moment.senders for code in self.countries]) for moment in moments]
        shocks = self._remembering([moment.shock for moment in moments])
        nothing = np.zeros(len(self.countries))
        found = [Year(replace(shock, transfer=nothing)) for shock in shocks]
        owners = None
        if self.holdings is not None:
            owners = owned(
                self.holdings, [self._treatment(m.year, now) for m, now in zip(moments, held, strict=True)]
            )
            found = [
                Year(
                    replace(shock, claims=each.claims, transfer=each.transfer),
                    inflow=each.inflow if self.settings.capital else None,
                    scrapped=each.scrapped,
                )
                for shock, each in zip(shocks, owners, strict=True)
            ]
        return self._financed(found, held) if self.settings.finance else found, owners

    def lasting(self, moments: Sequence[Moment]) -> Year:
        """The last year's situation once it has lasted: customers and owners are where it takes them."""
        long = [moments[-1]] * LONG
        held = np.array([code in moments[-1].senders for code in self.countries])
        year = Year(replace(moments[-1].shock, transfer=np.zeros(len(self.countries))))
        if self.holdings is not None:
            treatments = [
                self._treatment(m.year, np.isin(self.countries, list(m.senders))) for m in (*moments, *long)
            ]
            year = Year(replace(year.shock, claims=owned(self.holdings, treatments)[-1].claims))
        if not self.settings.finance:
            return year
        ever = [np.isin(self.countries, list(moment.senders)) for moment in moments]
        year = self._financed([Year(Shock())] * len(ever) + [year], [*ever, held])[-1]
        return year._replace(shock=replace(year.shock, transfer=np.zeros(len(self.countries))))

    def _remembering(self, shocks: list[Shock]) -> list[Shock]:
        """The shocks with the weights that lost customers leave."""
        rho = self.settings.hysteresis
        if rho is None or rho == 0.0:
            return shocks
        sectors = self.economy.sectors
        part = (
            self.settings.positions.persistence(sectors, self.settings.end) if isinstance(rho, str) else rho
        )
        return remembering(self.economy, shocks, part)

    def _treatment(self, year: int, held: NDArray) -> Treatment:
        """Owners from countries with measures in force neither invest nor get all they earn, and sell bit by bit."""
        pair = np.zeros((len(held), len(held)), bool)
        pair[held, self.target] = True
        rate, blocked, stranded = (
            self._of_target(name) for name in ("exit_rate", "dividends_blocked", "stranded_productivity")
        )
        return Treatment(
            banned=pair,
            sold=np.where(pair, rate, 0.0),
            blocked=np.where(pair, blocked, 0.0),
            proceeds=self._proceeds(year),
            stranded=stranded,
            half_life=self.settings.positions.figure("return_half_life").at(self.settings.end),
            returning=self.returning,
            bought_back=self.settings.buy_back,
        )

    def _of_target(self, name: str) -> float:
        """A figure about the target, 0 where there is none."""
        code = self.countries[self.target]
        try:
            return self.settings.positions.figure(name, code).at(self.settings.end)
        except InputError:
            return 0.0

    def _proceeds(self, year: int) -> float:
        try:
            return self.settings.positions.proceeds(f"{year}-12-31", self.countries[self.target])
        except InputError:
            return 1.0  # no rule for sales: at market value

    def _financed(self, years: list[Year], held: list[NDArray]) -> list[Year]:
        """The years with a risk premium, dearer payments and reserves that are released."""
        known = labels.countries()
        frozen = (
            np.array([self._frozen(code) if code in known else 0.0 for code in self.countries]) / self.money
        )
        release = finance.released(frozen, self.target, held, RELEASE_YEARS)
        ever = np.any(held, axis=0)
        size = np.asarray(self.economy.value_added)
        found = []
        for year, now, flow in zip(years, held, release, strict=True):
            shock = year.shock
            cost = finance.payment_cost(self._of_target("payment_cost"), self.target, now)
            own = 1.0 if shock.trade_cost_change is None else np.asarray(shock.trade_cost_change)
            given = 0.0 if shock.transfer is None else np.asarray(shock.transfer)
            part = float(size[now].sum() / size[ever].sum()) if ever.any() else 0.0
            part *= self._of_target("borrowed_abroad")
            thrift = finance.thrift(
                self._of_target("risk_premium"), self.target, part, self.settings.rate, self.delta
            )
            found.append(
                year._replace(
                    shock=replace(shock, trade_cost_change=own * cost, transfer=given + flow), thrift=thrift
                )
            )
        return found

    def _frozen(self, code: str) -> float:
        rows = self.settings.positions.figures
        return (
            rows["frozen_reserves", code, ""].at(self.settings.end)
            if ("frozen_reserves", code, "") in rows
            else 0.0
        )
