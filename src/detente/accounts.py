"""The accounts of a baseline: from shares and deficits to output, spending and income, every identity exact.

Buyers are countries [country], or, where producers and final users buy from sellers of their own, the producers of every
country and then its final users [use × country].
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from detente.errors import InfeasibleError

BALANCE_TOLERANCE = 1e-13  # of world income: an order above rounding, two below the identities promised


def mixed_share(use_share: NDArray, use_spending: NDArray) -> NDArray:
    """Shares of both uses taken together [importer, exporter, sector], by what each spends [use, country, sector].

    The producers' share where nobody buys.
    """
    spent = use_spending.sum(axis=0)
    final = np.divide(use_spending[1], spent, out=np.zeros_like(spent), where=spent > 0)[:, None, :]
    return (1 - final) * use_share[0] + final * use_share[1]


def over_uses(by_buyer: NDArray, countries: int) -> NDArray:
    """Summed over the uses of each country: [buyer, …] to [country, …]."""
    return by_buyer.reshape(-1, countries, *by_buyer.shape[1:]).sum(axis=0)


def sales_and_revenue(
    pi: NDArray, spending: NDArray, tariff: NDArray | None, export_tax: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Sales net of duties [country, sector] and policy revenue [country], at shares and spending of buyers.

    pi [buyer, exporter, sector]; spending [buyer, sector]; rates [importer, exporter, sector].
    """
    n = pi.shape[1]
    if tariff is None and export_tax is None:
        # matmul over [sector, exporter, importer] is several times faster than einsum here
        sales = np.matmul(pi.transpose(2, 1, 0), spending.T[:, :, None])[:, :, 0].T
        return sales, np.zeros(n)
    paid = over_uses(pi * spending[:, None, :], n)
    border = paid / (1.0 + (0.0 if tariff is None else tariff))
    received = border / (1.0 + (0.0 if export_tax is None else export_tax))
    revenue = (paid - border).sum(axis=(1, 2)) + (border - received).sum(axis=(0, 2))
    return received.sum(axis=0), revenue


def rest(
    pi: NDArray,
    gamma: NDArray,
    v: NDArray,
    alpha: NDArray,
    d: NDArray,
    t: NDArray | None,
    e: NDArray | None,
    countries: Sequence[str],
) -> dict[str, NDArray]:
    """The baseline that these shares and deficits imply: solves the linear accounts with world factor income 1.

    Spending X = Γ Y(X) + α (v·Y(X) + R(X) + D) is linear and homogeneous but for D, so one scale is free; it is pinned by
    Σ v Y = 1. GMRES, then a check. Where pi [buyer, exporter, sector] has a row for each use, so has spending.
    """
    n, s = alpha.shape
    apart = len(pi) != n

    def spend(x: NDArray, transfers: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        sales, revenue = sales_and_revenue(pi, x, t, e)
        earned = (v * sales).sum(axis=1) + revenue + transfers
        used, wanted = np.matmul(gamma, sales[:, :, None])[:, :, 0], alpha * earned[:, None]
        return np.concatenate([used, wanted]) if apart else used + wanted, sales, earned

    nobody = np.zeros((len(pi) - n, s))
    guess = np.concatenate([nobody, alpha / n])

    def defect(flat: NDArray) -> NDArray:
        x = flat.reshape(-1, s)
        bought, sales, _ = spend(x, np.zeros(n))
        return (x - bought + (v * sales).sum() * guess).ravel()

    goal = (np.concatenate([nobody, alpha * d[:, None]]) + guess).ravel()
    operator = LinearOperator(shape=(guess.size, guess.size), matvec=defect, dtype=float)  # pyright: ignore[reportCallIssue]
    x = guess.ravel()
    for _ in range(5):  # restarts with the true residual: GMRES alone stops a digit or two short
        miss = goal - defect(x)
        if abs(miss).max() <= 0.01 * BALANCE_TOLERANCE:
            break
        change, _ = gmres(operator, miss, rtol=1e-10, atol=0.0, restart=120, maxiter=5)
        x = x + change
    x = x.reshape(-1, s)
    bought, sales, earned = spend(x, d)
    if not np.isfinite(x).all() or abs(bought - x).max() > BALANCE_TOLERANCE:
        raise InfeasibleError(
            "The baseline accounts have no solution for these shares and deficits: some countries neither buy from nor "
            f"sell to the rest (accounts miss by {abs(bought - x).max():.1e} of world income). Use deficits='balanced' "
            "or check `trade_share` for groups of countries that trade only among themselves."
        )
    if (earned <= 0).any() or x.min() < -BALANCE_TOLERANCE or sales.min() < -BALANCE_TOLERANCE:
        worst = countries[int(earned.argmin())]
        raise InfeasibleError(
            f"With these deficits {worst} would have to give away more than it earns. "
            "Use deficits='balanced', or check the sign of `deficit`: positive is spending above income."
        )
    x, sales = np.maximum(x, 0.0), np.maximum(sales, 0.0)
    return {"output": sales, "spending": x, "income": earned}
