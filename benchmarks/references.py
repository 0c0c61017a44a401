"""Two independent NumPy solvers of the Caliendo–Parro equilibrium in changes, for comparison with the engine.

Nothing here imports détente. Both solvers take the same arrays and stop on the same rule, so that a
benchmark compares methods and a test compares answers:

`solve_dense`  Caliendo and Parro's published algorithm (2015, Review of Economic Studies 82:1, section 4
               and their replication code): for given wages iterate prices to convergence, compute the new
               trade shares, solve all spending at once as one dense linear system of (countries ×
               sectors)² numbers, and move wages by a damped share of the excess demand for factors.
`solve_loops`  a plain fixed point: the same price loop, a loop for spending in place of the dense system
               (so the new trade shares are never formed), the same damped wage step.

Both are vectorised, warm-start every inner loop from the last wage step and adapt their damping: it grows
by a tenth after each step that shrinks the excess demand and halves, with the step undone, after one that
does not, so it stays near the largest stable value. Inner loops run to a tenth of the tolerance, or
(`slack=True`) only to 3 % of the present excess demand, less after each step taken back.

Axes: [importer n, exporter i, sector j]; [country, input j, user k]; [country, sector]. World factor
income is 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Baseline:
    """Baseline shares and levels; the fields and axes of `detente.Economy`, as NumPy arrays."""

    trade_share: Array
    input_share: Array
    value_added_share: Array
    consumption_share: Array
    value_added: Array
    deficit: Array
    trade_elasticity: Array
    tariff: Array | None = None
    export_tax: Array | None = None

    @classmethod
    def of(cls, economy: Any) -> "Baseline":
        """The baseline of a `detente.Economy`, copied to NumPy and scaled to world factor income 1."""
        names = [name for name in cls.__dataclass_fields__ if getattr(economy, name) is not None]
        return cls(**{name: np.array(getattr(economy, name), dtype=np.float64) for name in names}).scaled()

    def scaled(self) -> "Baseline":
        """The same baseline in units of world factor income."""
        total = self.value_added.sum()
        return replace(self, value_added=self.value_added / total, deficit=self.deficit / total)

    @cached_property
    def spending(self) -> Array:
        """X_nj of the baseline [country, sector]: the linear spending system at unchanged prices."""
        world = World(self, np.ones_like(self.trade_share))
        wage, price = np.ones(len(self.value_added)), np.ones(self.consumption_share.shape)
        return world.spending_loop(wage, price, world.start, 1e-15)[0]

    def set_up(self) -> None:
        """Compute the baseline's spending and income, which every solve needs once."""
        _ = self.spending, self.income

    @cached_property
    def income(self) -> Array:
        """I_n of the baseline: factor income + policy revenue + deficit."""
        world = World(self, np.ones_like(self.trade_share))
        one = np.ones(self.consumption_share.shape)
        return self.value_added + world.revenue(world.power(one), self.spending) + self.deficit


@dataclass(frozen=True)
class Answer:
    """What a reference solver found: changes as ratios to the baseline, and the relative gap left."""

    real_income_change: Array
    wage_change: Array
    price_change: Array
    spending: Array
    iterations: int
    sweeps: int
    residual: float
    converged: bool
    damping: float


class World:
    """One shock on one baseline, its arrays laid out [sector, importer, exporter] for batched products."""

    def __init__(
        self,
        baseline: Baseline,
        weight: Array,
        tariff_new: Array | None = None,
        export_tax_new: Array | None = None,
        deficit_new: Array | None = None,
    ) -> None:
        """`weight` is κ̂^(−θ) [importer, exporter, sector], the change of duties included."""
        self.base = baseline
        tariff = baseline.tariff if tariff_new is None else tariff_new
        export_tax = baseline.export_tax if export_tax_new is None else export_tax_new
        self.deficit = baseline.deficit if deficit_new is None else deficit_new
        self.theta = baseline.trade_elasticity
        self.share = np.ascontiguousarray((baseline.trade_share * weight).transpose(2, 0, 1))
        self.duty = np.zeros_like(self.share) if tariff is None else tariff.transpose(2, 0, 1)
        self.tax = np.zeros_like(self.share) if export_tax is None else export_tax.transpose(2, 0, 1)
        self.taxed = tariff is not None or export_tax is not None
        net = self.share / ((1 + self.duty) * (1 + self.tax))
        self.net_by_exporter = np.ascontiguousarray(net.transpose(0, 2, 1))
        if self.taxed:
            self.duty_share = net * self.duty * (1 + self.tax)
            self.tax_by_exporter = np.ascontiguousarray((net * self.tax).transpose(0, 2, 1))
        self.inputs_t = np.ascontiguousarray(baseline.input_share.transpose(0, 2, 1))

    @property
    def start(self) -> Array:
        """A first guess of spending: final demand grossed up by the average share of inputs."""
        final = self.base.consumption_share * (self.base.value_added + np.maximum(self.deficit, 0))[:, None]
        return 2 * final + 1e-12

    def cost(self, wage: Array, price: Array) -> Array:
        """ĉ_nk = ŵ_n^{v_nk} Π_j P̂_nj^{γ_njk}  (eq. 10), [country, sector]."""
        inputs = np.matmul(self.inputs_t, np.log(price)[:, :, None])[:, :, 0]
        return np.exp(self.base.value_added_share * np.log(wage)[:, None] + inputs)

    def power(self, cost: Array) -> Array:
        """a_ij = ĉ_ij^(−θ_j), [sector, exporter]."""
        return (cost**-self.theta).T

    def price(self, power: Array) -> Array:
        """P̂_nj = [Σ_i π_nij κ̂_nij^(−θ_j) a_ij]^(−1/θ_j)  (eq. 11), [country, sector]."""
        return np.matmul(self.share, power[:, :, None])[:, :, 0].T ** (-1 / self.theta)

    def price_loop(self, wage: Array, price: Array, tolerance: float) -> tuple[Array, Array, int]:
        """Iterate eq. 10 and 11 at given wages; returns prices, a_ij and the number of passes."""
        passes = 0
        for passes in range(1, 2000):  # noqa: B007 - the count is returned
            power = self.power(self.cost(wage, price))
            new = self.price(power)
            gap = np.abs(new / price - 1).max()
            price = new
            if gap < tolerance:
                break
        return price, self.power(self.cost(wage, price)), passes

    def output(self, power: Array, quantity: Array) -> Array:
        """Y_ij = a_ij Σ_n π_nij κ̂^(−θ) X_nj P̂_nj^θ / ((1+t)(1+e)), [country, sector]."""
        return (power * np.matmul(self.net_by_exporter, quantity[:, :, None])[:, :, 0]).T

    def revenue(self, power: Array, quantity: Array) -> Array:
        """Tariff revenue of importers and export-tax revenue of exporters; `quantity` is X P̂^θ."""
        if not self.taxed:
            return np.zeros(len(self.base.value_added))
        column = quantity.T if quantity.shape == self.base.consumption_share.shape else quantity
        duties = column * np.matmul(self.duty_share, power[:, :, None])[:, :, 0]
        taxes = power * np.matmul(self.tax_by_exporter, column[:, :, None])[:, :, 0]
        return (duties + taxes).sum(0)

    def demand(self, wage: Array, power: Array, scale: Array, spending: Array) -> tuple[Array, Array, Array]:
        """One pass of X' = γ Y' + α I'; returns spending, output, income I'. `scale` is P̂^θ."""
        quantity = (spending * scale).T
        output = self.output(power, quantity)
        income = wage * self.base.value_added + self.revenue(power, quantity) + self.deficit
        used = np.matmul(self.base.input_share, output[:, :, None])[:, :, 0]
        return used + self.base.consumption_share * income[:, None], output, income

    def spending_loop(
        self, wage: Array, price: Array, spending: Array, tolerance: float
    ) -> tuple[Array, Array, int]:
        """Iterate spending at given wages and prices; returns spending, output and the number of passes."""
        power, scale = self.power(self.cost(wage, price)), price**self.theta
        output, passes = np.zeros_like(spending), 0
        for passes in range(1, 5000):  # noqa: B007 - the count is returned
            new, output, _ = self.demand(wage, power, scale, spending)
            gap = relative_gap(new, spending)
            spending = new
            if gap < tolerance:
                break
        return spending, output, passes

    def spending_dense(self, wage: Array, price: Array) -> tuple[Array, Array]:
        """Spending by one dense solve: (I − γ∘π'/((1+t')(1+e')) − α∘revenue) X = α (ŵ VA + D)."""
        base, (countries, sectors) = self.base, self.base.consumption_share.shape
        power = self.power(self.cost(wage, price))
        scale = (price**self.theta).T
        net = self.net_by_exporter * power[:, :, None] * scale[:, None, :]  # π'/((1+t)(1+e))
        by_exporter = np.ascontiguousarray(net.transpose(1, 2, 0))  # [exporter, importer, sector]
        matrix = base.input_share[:, :, None, :] * -by_exporter[:, None, :, :]
        if self.taxed:
            taxes = (self.tax_by_exporter * power[:, :, None] * scale[:, None, :]).transpose(1, 2, 0)
            duties = (scale * np.matmul(self.duty_share, power[:, :, None])[:, :, 0]).T
            taxes[range(countries), range(countries)] += duties
            matrix -= base.consumption_share[:, :, None, None] * taxes[:, None, :, :]
        matrix = matrix.reshape(countries * sectors, countries * sectors)
        matrix[np.diag_indices_from(matrix)] += 1
        final = base.consumption_share * (wage * base.value_added + self.deficit)[:, None]
        spending = np.linalg.solve(matrix, final.ravel()).reshape(countries, sectors)
        output: Array = np.matmul(net, spending.T[:, :, None])[:, :, 0].T
        return spending.astype(np.float64), output

    def residual(self, wage: Array, price: Array, spending: Array) -> float:
        """The largest relative gap in the price, spending and factor-market equations."""
        power = self.power(self.cost(wage, price))
        new, output, _ = self.demand(wage, power, price**self.theta, spending)
        factor = (self.base.value_added_share * output).sum(1) / (wage * self.base.value_added)
        gaps = (
            np.abs(self.price(power) / price - 1).max(),
            relative_gap(new, spending),
            np.abs(factor - 1).max(),
        )
        return float(max(gaps))

    def real_income(self, wage: Array, price: Array, spending: Array) -> Array:
        """Ŵ_n = (I'_n / I_n) / Π_j P̂_nj^{α_nj}."""
        power = self.power(self.cost(wage, price))
        income = self.demand(wage, power, price**self.theta, spending)[2]
        return income / self.base.income / np.exp((self.base.consumption_share * np.log(price)).sum(1))


def relative_gap(new: Array, old: Array) -> float:
    """max |new − old| / old over the cells that are not zero on both sides."""
    gap = np.abs(new - old)
    return float((gap / np.where(gap > 0, np.maximum(np.abs(old), 1e-300), 1.0)).max())


def solve_dense(
    baseline: Baseline, weight: Array, *, tolerance: float = 1e-10, slack: bool = False, **options: Any
) -> Answer:
    """Caliendo and Parro's algorithm. Options: tariff_new, export_tax_new, deficit_new, max_steps, report."""
    return _solve(baseline, weight, True, tolerance, slack, **options)


def solve_loops(
    baseline: Baseline, weight: Array, *, tolerance: float = 1e-10, slack: bool = False, **options: Any
) -> Answer:
    """A plain fixed point with inner loops. `options` as in `solve_dense`."""
    return _solve(baseline, weight, False, tolerance, slack, **options)


def _solve(
    baseline: Baseline,
    weight: Array,
    dense: bool,
    tolerance: float,
    slack: bool,
    *,
    max_steps: int = 5000,
    report: Progress | None = None,
    damping: float = 0.2,
    **duties: Array | None,
) -> Answer:
    world = World(baseline, weight, **duties)
    wage, price, spending = (
        np.ones(len(baseline.value_added)),
        np.ones(baseline.consumption_share.shape),
        baseline.spending,
    )
    kept, kept_excess, best = wage, np.zeros_like(wage), np.inf
    sweeps, residual, share = 0, np.inf, 0.03
    inner = 1e-3 if slack else tolerance / 10
    for step in range(1, max_steps + 1):
        price, _, passes = world.price_loop(wage, price, inner)
        sweeps += passes
        if dense:
            spending, output = world.spending_dense(wage, price)
        else:
            spending, output, passes = world.spending_loop(wage, price, spending, inner)
            sweeps += passes
        excess = (baseline.value_added_share * output).sum(1) / (wage * baseline.value_added) - 1
        size = float(np.abs(excess).max())
        if report:
            report(step, size)
        if size < tolerance:
            residual = world.residual(wage, price, spending)
            if residual < tolerance:
                break
        if size > best:  # the step was too long: take it back
            damping, share = damping / 2, share / 2
        else:
            damping *= 1.1
            kept, kept_excess, best = wage, excess, size
        if slack:
            inner = max(tolerance / 10, share * best)
        wage = kept * (1 + damping * np.maximum(kept_excess, -0.9))
        wage = wage / (wage * baseline.value_added).sum()
    return Answer(
        real_income_change=world.real_income(wage, price, spending),
        wage_change=wage,
        price_change=price,
        spending=spending,
        iterations=step,
        sweeps=sweeps,
        residual=world.residual(wage, price, spending),
        converged=residual < tolerance,
        damping=damping,
    )
