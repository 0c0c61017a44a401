"""Instruments of oil and gas policy as measures of a scenario: price caps, quotas, bans on services, producers' rules.

They say who acts on which flows, with figures in units people use, and become numbers only for a given economy:
places of countries and sectors and ratios to the baseline (`detente.instruments`). docs/oil-and-gas.md explains them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detente import instruments, labels, sizes
from detente.errors import InputError, unknown_name
from detente.measure import Names, is_all, joined, named, percent, sector_phrase, subject
from detente.sources import energy_figures
from detente.sources.energy_figures import PRICE, Figures

if TYPE_CHECKING:
    from detente.economy import Economy

RULES = ("hold-price", "hold-volume")
PARTIES = ("importer", "exporter")
REFERENCES = ("world", "own")
Places = tuple[list[int], list[int], list[int]]


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """What all instruments share.

    by: who imposes it; on: whose sales it is about; to: their buyers (default: see each); sectors: codes or groups.
    range: of the size that is least known, in which `cuts` places it; basis, source: how well it is known.
    Raises `InputError` for a value that makes no sense.
    """

    kind: ClassVar[str]
    ranged: ClassVar[str] = ""  # the figure that `range` belongs to

    by: Names
    sectors: Names
    on: Names = ()
    to: Names = ()
    range: tuple[float, float] | None = None
    basis: str = ""
    source: str = ""
    note: str = ""
    id: str = ""
    place: str = field(default="", compare=False, repr=False)

    def __post_init__(self):
        if not self.on and self.kind != "producers":
            raise InputError(f"a `{self.kind}` needs the key `on`: whose sales it is about.")
        if self.range is not None:
            if not self.ranged:
                raise InputError(f"`range` has no meaning for `{self.kind}`. Leave it out.")
            low, high = (_number(self.kind, "range", end, 0, 1) for end in self.range)
            if low > high:
                raise InputError(f"`range` is {list(self.range)}; expected the smaller number first.")

    @abstractmethod
    def engine(self, economy: "Economy") -> list[instruments.Ceiling]:
        """What it is for the engine; empty where the data year has none of its flows."""

    def placed(self, cuts: sizes.Position) -> "Rule":
        """The same with its size at a position of its range."""
        if not self.ranged:
            return self
        return replace(self, **{self.ranged: sizes.placed(getattr(self, self.ranged), self.range, cuts)})

    def places(self, economy: "Economy") -> Places:
        """Places of importers, exporters and sectors. Raises `InputError` for unknown names and empty sides."""
        countries = economy.countries
        senders = labels.resolve_countries(self.by, countries)
        targets = labels.resolve_countries(self.on, countries)
        if is_all(self.on):
            targets = [code for code in targets if code not in senders]
        both = [code for code in senders if code in targets]
        if both:
            raise InputError(
                f"{labels.country_name(both[0])} is both sender and target. Take `{both[0]}` out of `by` or out of `on`."
            )
        buyers = self._buyers(countries, senders, targets)
        goods = labels.resolve_sectors(self.sectors, economy.sectors)
        return (
            [countries.index(code) for code in buyers],
            [countries.index(code) for code in targets],
            [economy.sectors.index(code) for code in goods],
        )

    def _buyers(self, countries: Sequence[str], senders: list[str], targets: list[str]) -> list[str]:
        third = [code for code in countries if code not in senders and code not in targets]
        found = third if not self.to else labels.resolve_countries(self.to, countries)
        found = [code for code in found if not (is_all(self.to) and code in targets)]
        own = [code for code in found if code in targets]
        if own:
            raise InputError(
                f"`to` holds {labels.country_name(own[0])}, a seller itself: sales at home are no exports. "
                f"Take `{own[0]}` out of `to`."
            )
        if not found:
            raise InputError("nobody is left to buy: everyone is in `by` or `on`. Name the buyers in `to`.")
        return found

    def _hints(self, unit: str = "%") -> str:
        hints = []
        if self.range:
            hints.append(f"range {percent(self.range[0])} to {percent(self.range[1])} {unit}")
        hints += [self.basis] if self.basis else []
        return f" ({'; '.join(hints)})" if hints else ""

    def _sales(self) -> str:
        """`Russia's sales of crude oil to China`."""
        owner = joined(self.on, named)
        goods = "" if is_all(self.sectors) else f" of {joined(self.sectors, sector_phrase)}"
        buyers = f" to {joined(self.to, named)}" if self.to else " to third countries"
        return f"{owner}’s sales{goods}{buyers}"


@dataclass(frozen=True, kw_only=True)
class PriceCap(Rule):
    """A ceiling on the price of sales that use the senders' ships and insurers; buyers keep the discount.

    cap: the ceiling, with `unit` in USD/bbl or USD/MMBtu, else as a ratio to the baseline's price; or below: by how
    much of a reference price it stays under it (0.15 is 15 %): `world`, the mean of all exporters, or `own`, what the good
    itself is worth to its buyers. baseline_price, reference_price: of 2022 in that unit; left out they are those of the
    energy figures. enforced: part of the sales that the cap reaches, and its range; shadow_cost: what the rest pays
    other ships, as a part of the price. to: importers; left out all but senders and targets.
    """

    kind: ClassVar[str] = "price-cap"
    ranged: ClassVar[str] = "enforced"

    cap: float | None = None
    unit: str = ""
    below: float | None = None
    reference: str = "own"
    baseline_price: float | None = None
    reference_price: float | None = None
    enforced: float = 1.0
    shadow_cost: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if (self.cap is None) == (self.below is None):
            raise InputError(
                "a `price-cap` needs either `cap`, a price, or `below`, a part of a `reference` price, and not both."
            )
        if self.unit and self.unit not in set(PRICE.values()):
            raise unknown_name("unit", self.unit, sorted(set(PRICE.values())))
        if self.reference not in REFERENCES:
            raise unknown_name("reference", self.reference, REFERENCES)
        if self.unit and self.cap is None:
            raise InputError("`unit` belongs to `cap`; `below` is a share, as 0.15. Leave `unit` out.")
        if self.baseline_price is not None and not (self.unit or self.below is not None):
            raise InputError(
                "`baseline-price` needs the `unit` of `cap`, as USD/bbl: without one, `cap` is a ratio already."
            )
        for key, value in (
            ("cap", self.cap),
            ("baseline-price", self.baseline_price),
            ("reference-price", self.reference_price),
        ):
            if value is not None:
                _number(self.kind, key, value, 0, math.inf, strict=True)
        if self.below is not None:
            _number(self.kind, "below", self.below, 0, 1, open_end=True)
        _number(self.kind, "enforced", self.enforced, 0, 1)
        _number(self.kind, "shadow-cost", self.shadow_cost, 0, math.inf)

    def engine(self, economy: "Economy") -> list[instruments.Ceiling]:
        """One cap a seller and sector, since each good has a price of its own."""
        buyers, sellers, goods = self.places(economy)
        made = []
        for i in sellers:
            for j in goods:
                if sold(economy, buyers, i, j):
                    at = {"importers": tuple(buyers), "exporters": (i,), "sectors": (j,)}
                    rest = {"enforced": self.enforced, "shadow_cost": self.shadow_cost}
                    code, sector = economy.countries[i], economy.sectors[j]
                    made.append(
                        instruments.PriceCap(
                            **at, **rest, **self._level(code, sector), name=self._name(code, sector)
                        )
                    )
        return made

    def _name(self, seller: str, sector: str) -> str:
        return f"{self.id or 'price cap'}: {labels.sector_name(sector)} from {labels.country_name(seller)}"

    def _level(self, seller: str, sector: str) -> dict[str, Any]:
        """The keys of the engine's cap that say how high it is."""
        if self.cap is not None:
            base = self._price(seller, sector, "baseline-price", self.baseline_price) if self.unit else 1.0
            return {"cap": self.cap / base}
        if self.reference == "own":
            return {"below": self.below, "reference": "own"}
        base = self._price(seller, sector, "baseline-price", self.baseline_price)
        world = self._price("", sector, "reference-price", self.reference_price)
        return {"below": self.below, "reference": "world", "reference_ratio": world / base}

    def _price(self, seller: str, sector: str, key: str, given: float | None) -> float:
        """The price of 2022, given or from the energy figures. Raises `InputError` where there is none."""
        if given is not None:
            return given
        if sector not in PRICE:
            raise InputError(
                f"there is no price of {labels.sector_name(sector)} (`{sector}`) in the energy figures. Give `{key}`, "
                "or `cap` as a ratio to the baseline without `unit`."
            )
        if self.unit and PRICE[sector] != self.unit:
            raise InputError(
                f"`unit` is {self.unit}, but prices of {labels.sector_name(sector)} are in {PRICE[sector]}. Name one "
                "sector a cap, in its unit."
            )
        return figures().price(seller, "", sector)

    def __str__(self) -> str:
        who, singular = subject(self.by)
        if self.below is not None:
            what = "its own market price" if self.reference == "own" else "the world price"
            level = f"{percent(self.below)} % below {what}"
        elif self.unit:
            level = f"{self.cap:g} {self.unit}"
        else:
            level = f"{percent(self.cap or 0)} % of the baseline’s"
        reach = (
            "" if self.enforced == 1 and not self.range else f", reaching {percent(self.enforced)} % of them"
        )
        other = f"; other ships cost {percent(self.shadow_cost)} %" if self.shadow_cost else ""
        return (
            f"{who} cap{'s' if singular else ''} the price of {self._sales()} at {level}{reach}{other}"
            f"{self._hints()}."
        )


@dataclass(frozen=True, kw_only=True)
class Quota(Rule):
    """A ceiling on the quantity of sales, as a ratio to 2022: `ceiling: 0.9`. rent_to: importer, exporter, or a country.

    to: importers; left out the senders.
    """

    kind: ClassVar[str] = "quota"

    ceiling: float = 1.0
    rent_to: str = "importer"

    def __post_init__(self):
        super().__post_init__()
        _number(self.kind, "ceiling", self.ceiling, 0, math.inf, strict=True)
        if not isinstance(self.rent_to, str) or not self.rent_to.strip():
            raise InputError(f"`rent-to` is {self.rent_to!r}; expected importer, exporter or one country.")

    def _buyers(self, countries: Sequence[str], senders: list[str], targets: list[str]) -> list[str]:
        return super()._buyers(countries, senders, targets) if self.to else senders

    def engine(self, economy: "Economy") -> list[instruments.Ceiling]:
        """One quota over all its flows."""
        buyers, sellers, goods = self.places(economy)
        owner = self.rent_to.casefold()
        if owner not in PARTIES:
            found = labels.resolve_countries(self.rent_to, economy.countries)
            if len(found) != 1:
                raise InputError(
                    f"`rent-to` is `{self.rent_to}`, which is {len(found)} countries; expected importer, exporter or one."
                )
            owner = economy.countries.index(found[0])
        if not any(sold(economy, buyers, i, j) for i in sellers for j in goods):
            return []
        name = self.id or f"quota: {joined(self.sectors, sector_phrase)} from {joined(self.on, named)}"
        return [
            instruments.Quota(
                tuple(buyers), tuple(sellers), tuple(goods), name, ceiling=self.ceiling, rent_to=owner
            )
        ]

    def _sales(self) -> str:
        return super()._sales() if self.to else super()._sales().replace(" to third countries", " to it")

    def __str__(self) -> str:
        who, singular = subject(self.by)
        to = {"importer": "the buyers", "exporter": "the sellers"}.get(self.rent_to.casefold())
        return (
            f"{who} limit{'s' if singular else ''} {self._sales()} to {percent(self.ceiling)} % of the quantity of the "
            f"data year; the rent falls to {to or named(self.rent_to)}{self._hints()}."
        )


@dataclass(frozen=True, kw_only=True)
class ServicesBan(Rule):
    """Ships and insurers of the senders refuse the target's sales to third countries.

    share: a, the part of these sales that used them, and its range; cost: s, what others cost more, as a part of the price.
    Trade costs rise by 1/((1 − a) + a/(1 + s)). to: importers; left out all but senders and targets.
    """

    kind: ClassVar[str] = "services-ban"
    ranged: ClassVar[str] = "share"

    share: float
    cost: float

    def __post_init__(self):
        super().__post_init__()
        _number(self.kind, "share", self.share, 0, 1)
        _number(self.kind, "cost", self.cost, 0, math.inf)

    @property
    def factor(self) -> float:
        """1/((1 − a) + a/(1 + s)), on trade costs."""
        return 1 / ((1 - self.share) + self.share / (1 + self.cost))

    def engine(self, economy: "Economy") -> list[instruments.Ceiling]:
        """None: it is a trade cost."""
        return []

    def __str__(self) -> str:
        who, singular = subject(self.by)
        return (
            f"{who} bar{'s' if singular else ''} {'its' if singular else 'their'} ships and insurers from {self._sales()}, "
            f"{percent(self.share)} % of which used them; others cost {percent(self.cost)} % more{self._hints()}."
        )


@dataclass(frozen=True, kw_only=True)
class Producers(Rule):
    """Producers (`by`, as opec-plus) who set their margin together, towards all buyers.

    rule: hold-price, the world price stays that of 2022 as far as `spare` capacity goes; hold-volume, their output stays.
    spare: by how much their output can grow (0.05 is 5 %).
    """

    kind: ClassVar[str] = "producers"

    rule: str = "hold-price"
    spare: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        for key in ("on", "to"):
            if getattr(self, key):
                raise InputError(f"`{key}` has no meaning for `producers`, who sell to all. Leave it out.")
        if self.rule not in RULES:
            raise unknown_name("rule", self.rule, RULES)
        _number(self.kind, "spare", self.spare, 0, math.inf)

    def places(self, economy: "Economy") -> Places:
        """All importers; the producers; the sectors."""
        sellers = labels.resolve_countries(self.by, economy.countries)
        goods = labels.resolve_sectors(self.sectors, economy.sectors)
        everyone = list(range(len(economy.countries)))
        places = [economy.countries.index(code) for code in sellers]
        return everyone, places, [economy.sectors.index(code) for code in goods]

    def engine(self, economy: "Economy") -> list[instruments.Ceiling]:
        """One margin for all."""
        buyers, sellers, goods = self.places(economy)
        if not any(sold(economy, buyers, i, j) for i in sellers for j in goods):
            return []
        return [
            instruments.Producers(
                tuple(buyers),
                tuple(sellers),
                tuple(goods),
                self.id or f"producers: {joined(self.by, named)}",
                rule="hold-price" if self.rule == "hold-price" else "hold-volume",
                spare=self.spare,
            )
        ]

    def __str__(self) -> str:
        who, singular = subject(self.by)
        s, their = ("s", "its") if singular else ("", "their")
        goods = joined(self.sectors, sector_phrase)
        if self.rule == "hold-volume":
            return f"{who} hold{s} {their} output of {goods} where it was{self._hints()}."
        room = (
            f" as far as {percent(self.spare)} % of spare capacity allows"
            if self.spare
            else ", without raising output"
        )
        return (
            f"{who} hold{s} the world price of {goods} where it was,{room.removeprefix(',')}{self._hints()}."
        )


@cache
def figures() -> Figures:
    """The energy figures that ship."""
    return energy_figures.read()


def sold(economy: "Economy", buyers: Sequence[int], seller: int, sector: int) -> bool:
    """Whether the baseline has any of these sales."""
    share = np.asarray(economy.trade_share)[list(buyers), seller, sector]
    return bool((share * np.asarray(economy.spending)[list(buyers), sector]).any())


def _number(
    kind: str, key: str, value: Any, low: float, high: float, *, strict: bool = False, open_end: bool = False
) -> float:
    """The value. Raises `InputError` unless it is a number from `low` to `high`."""
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
    inside = (
        real and (value > low if strict else value >= low) and (value < high if open_end else value <= high)
    )
    if not inside:
        start = f"above {low:g}" if strict else f"of at least {low:g}"
        end = "" if math.isinf(high) else f" and {'below' if open_end else 'at most'} {high:g}"
        hint = " For no trade at all use `instrument: ban`." if (kind, key) == ("quota", "ceiling") else ""
        raise InputError(f"`{key}` of a {kind} is {value!r}; expected a number {start}{end}.{hint}")
    return float(value)
