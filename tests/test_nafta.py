"""NAFTA again: Caliendo & Parro (2015), table 2, from their own data of 1993."""

import numpy as np
import pytest

from detente.errors import InputError
from detente.replication import MEMBERS, PUBLISHED, replicate_nafta
from detente.sources import caliendo_parro
from tests import wiod

DATA = wiod.shared_data() / caliendo_parro.FILE
needs_data = pytest.mark.skipif(
    not DATA.is_file(), reason=f"needs {caliendo_parro.FILE} beside the repository"
)

# Exact changes in real income and the split to four decimals, as an independent program found them from the same data
DETAILED = {
    "terms_of_trade": (-0.4118, -0.1081, 0.0435),
    "volume_of_trade": (1.7239, 0.0443, 0.0412),
    "welfare": (1.3121, -0.0638, 0.0848),
    "real_wage": (1.7153, 0.3228, 0.1124),
    "real_income": (0.0073, -0.1101, 0.0741),
}
FOUR_DECIMALS = 0.5e-4 * 1.02  # half a unit of the last printed digit, and 2 % of it for ties


@pytest.fixture(scope="module")
def nafta():
    return replicate_nafta(DATA)


@needs_data
def test_published_figures_to_their_two_decimals(nafta):
    ours = nafta.table.loc[list(MEMBERS), list(PUBLISHED.columns)]
    assert np.array(ours.round(2)) == pytest.approx(np.array(PUBLISHED), abs=1e-9)
    assert nafta.agrees()


@needs_data
@pytest.mark.parametrize("name", DETAILED)
def test_figures_of_another_program_to_four_decimals(nafta, name):
    assert nafta.table.loc[list(MEMBERS), name].to_list() == pytest.approx(DETAILED[name], abs=FOUR_DECIMALS)


@needs_data
def test_imports_within_the_bloc(nafta):
    """Growth of imports from the other members: +118.3, +11.1, +40.5 percent (Caliendo & Parro 2015, table 3)."""
    assert nafta.table.loc[list(MEMBERS), "bloc_imports"].to_list() == pytest.approx(
        [118.3, 11.1, 40.5], abs=0.05
    )


@needs_data
def test_every_country_is_in_the_table(nafta):
    assert len(nafta.table) == 31
    assert nafta.outcome.converged


@needs_data
def test_the_formula_applied_in_small_steps_tends_to_the_exact_change():
    """First order becomes exact as the tariff change is cut in parts: error shrinks at least in proportion."""
    from detente.equilibrium import solve
    from detente.outcome import Outcome
    from detente.replication import nafta_economy
    from detente.shock import Shock

    economy, new = nafta_economy(DATA)
    old = np.asarray(economy.tariff)

    def sums(parts):
        shocks = [Shock(tariff_new=old + k / parts * (new - old)) for k in range(parts + 1)]
        solved = [solve(economy, shock) for shock in shocks]
        mexico = economy.countries.index("MEX")
        total = 1.0
        for k in range(parts):
            step = Outcome(
                economy, shocks[k], shocks[k + 1], shocks[k], shocks[k + 1], solved[k], solved[k + 1], 1e-10
            )
            total *= 1 + float(step.first_order()["total"][mexico]) / 100
        return 100 * (total - 1), 100 * (float(solved[-1].real_income_change[mexico]) - 1)

    once, exact = sums(1)
    often, _ = sums(8)
    assert abs(often - exact) < abs(once - exact) / 6


def test_missing_data_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nafta_cp2015_raw\.npz"):
        replicate_nafta(tmp_path)
    np.savez(tmp_path / caliendo_parro.FILE, B=np.zeros((40, 31)))
    with pytest.raises(InputError, match="lacks GO"):
        replicate_nafta(tmp_path)
    (tmp_path / caliendo_parro.FILE).write_bytes(b"not an archive")
    with pytest.raises(InputError, match="not an npz file"):
        replicate_nafta(tmp_path)
