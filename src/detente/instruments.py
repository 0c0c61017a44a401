"""Instruments that bind or do not: price caps, ceilings on quantities, producers that hold a price or a volume.

Each puts a wedge between what buyers pay and what sellers get on the flows it names. The wedge is not given: it is what
makes the rule hold (`detente.complementarity`). Here are the rules, as plain numbers for places of an economy's arrays;
scenarios speak of names. All prices are ratios to the baseline, in the numéraire.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detente.errors import InputError

Places = tuple[int, ...]


@dataclass(frozen=True)
class Ceiling:
    """What every instrument has: the flows it is about, as places of importers, exporters and sectors, and a name."""

    importers: Places
    exporters: Places
    sectors: Places
    name: str = ""

    def __post_init__(self):
        for axis in ("importers", "exporters", "sectors"):
            if not getattr(self, axis):
                raise InputError(
                    f"`{self.name or type(self).__name__}` names no {axis}; expected at least one."
                )


@dataclass(frozen=True)
class PriceCap(Ceiling):
    """A ceiling on the price that sellers may take on these flows; the buyer keeps the discount.

    cap: the ceiling over the baseline's price, for a fixed one; below: for a moving one, by how much of the reference
    price it stays under it (0.15 is 15 %), with reference 'own' (what the capped good is worth to its buyers) or 'world'
    (the mean price of all exporters), and reference_ratio, the reference over the capped good's price in the baseline.
    enforced: part of the sales that the cap reaches, in [0, 1]; the rest goes by other ships at shadow_cost, as a part of
    the price the seller gets. At enforced = 1 and a cap that binds, sellers get exactly the cap.
    """

    cap: float | None = None
    below: float | None = None
    reference: Literal["own", "world"] = "world"
    reference_ratio: float = 1.0
    enforced: float = 1.0
    shadow_cost: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        who = f"Price cap `{self.name}`"
        if (self.cap is None) == (self.below is None):
            raise InputError(
                f"{who} needs either `cap` or `below`: a fixed ceiling, or one under a reference price."
            )
        if self.cap is not None and not (np.isfinite(self.cap) and self.cap > 0):
            raise InputError(
                f"{who}: `cap` is {self.cap}; expected a number above zero, as a ratio to the baseline."
            )
        if self.below is not None and not 0 <= self.below < 1:
            raise InputError(
                f"{who}: `below` is {self.below}; expected a part of the reference price in [0, 1)."
            )
        if not 0 <= self.enforced <= 1:
            raise InputError(f"{who}: `enforced` is {self.enforced}; expected a share in [0, 1].")
        if not (np.isfinite(self.shadow_cost) and self.shadow_cost >= 0):
            raise InputError(f"{who}: `shadow_cost` is {self.shadow_cost}; expected a number of at least 0.")

    @property
    def reference_is_fixed(self) -> bool:
        """Whether the ceiling does not move with what the capped good itself is worth."""
        return self.cap is not None or self.reference == "world"

    @property
    def least_wedge(self) -> float:
        """The wedge that shadow costs make where the cap does not bind: −log(e + (1 − e)/(1 + s))."""
        return -float(np.log(self.enforced + (1 - self.enforced) / (1 + self.shadow_cost)))


@dataclass(frozen=True)
class Quota(Ceiling):
    """A ceiling on the quantity of these flows together, as a ratio to the baseline's.

    rent_to: who keeps what buyers pay above the sellers' cost: 'importer', 'exporter', or a place of a country.
    """

    ceiling: float = 1.0
    rent_to: Literal["importer", "exporter"] | int = "importer"

    def __post_init__(self):
        super().__post_init__()
        if not (np.isfinite(self.ceiling) and self.ceiling > 0):
            raise InputError(
                f"Quota `{self.name}`: `ceiling` is {self.ceiling}; expected a number above zero. For nothing at all use "
                "a ban."
            )


@dataclass(frozen=True)
class Producers(Ceiling):
    """Producers who set their margin together: exporters of these sectors, towards all importers.

    rule: 'hold-price', the mean world price of the sectors stays at the baseline's as far as spare capacity allows, or
    'hold-volume', their output stays. spare: by how much their output can grow (0.05 is 5 %).
    """

    rule: Literal["hold-price", "hold-volume"] = "hold-price"
    spare: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.rule not in ("hold-price", "hold-volume"):
            raise InputError(
                f"Producers `{self.name}`: the rule is `{self.rule}`; expected hold-price or hold-volume."
            )
        if not (np.isfinite(self.spare) and self.spare >= 0):
            raise InputError(
                f"Producers `{self.name}`: `spare` is {self.spare}; expected a number of at least 0."
            )


@dataclass(frozen=True)
class Binding:
    """What came of an instrument, all but the flags as ratios to the baseline.

    wedge: log of what buyers pay over what sellers get, infinite where a cap ends the sales;
    slack: log points by which the rule is away from binding; binds;
    seller_price: what sellers get, net of shadow costs; buyer_price: what the good is worth to its buyers; ceiling: the
    cap, the quota's quantity, or the producers' held price or output; volume: quantity of the flows; world_price: the
    sectors'.
    """

    name: str
    wedge: float
    slack: float
    binds: bool
    seller_price: float
    buyer_price: float
    ceiling: float
    volume: float
    world_price: float
