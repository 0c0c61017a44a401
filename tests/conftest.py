"""Strict numerics in tests: shapes never grow by themselves, and the random search is the same in every run."""

import gc

import jax
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile(
    "detente", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("detente")


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_do_not_pile_up():
    """Each module of tests compiles for shapes of its own; kept for the whole run they fill the memory."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def world():
    """The embedded world."""
    from detente.world import World

    return World.load()


@pytest.fixture(scope="session")
def economy(world):
    """The embedded world, default elasticities and closure."""
    from detente.calibration import calibrate

    return calibrate(world)
