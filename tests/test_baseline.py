"""The baseline's linear response, kept in memory and on disk."""

import dataclasses

import numpy as np
import pytest

from detente import baseline, search
from detente.calibration import calibrate


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DETENTE_CACHE", str(tmp_path))
    return tmp_path / "baselines"


@pytest.fixture
def fresh(world):
    """An economy nobody has kept anything of."""
    return calibrate(world, "uniform-4")


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in baseline.PARTS)


def test_a_second_economy_with_the_same_numbers_reads_the_file(cache, fresh, monkeypatch):
    made = search.baseline_preconditioner(fresh)
    assert len(list(cache.glob("*.npz"))) == 1
    monkeypatch.setattr(search, "preconditioner", lambda *_: pytest.fail("computed again"))
    assert same(search.baseline_preconditioner(dataclasses.replace(fresh)), made)
    assert search.baseline_preconditioner(fresh) is made


def test_another_economy_never_reads_it(cache, fresh):
    search.baseline_preconditioner(fresh)
    other = dataclasses.replace(fresh, trade_elasticity=fresh.trade_elasticity * 1.1)
    assert baseline.kept(other) is None
    assert baseline.kept(dataclasses.replace(fresh, closure="fixed")) is None


@pytest.mark.parametrize("damage", ["cut", "text", "shape", "nan"])
def test_a_damaged_file_is_made_again(cache, fresh, damage):
    made = search.baseline_preconditioner(fresh)
    (path,) = cache.glob("*.npz")
    arrays = {name: np.asarray(getattr(made, name)) for name in baseline.PARTS}
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("not an archive")
    elif damage == "shape":
        np.savez(path, **arrays | {"outer_step": np.eye(3)})
    else:
        np.savez(path, **arrays | {"outer_step": np.full_like(arrays["outer_step"], np.nan)})
    again = dataclasses.replace(fresh)
    assert baseline.kept(again) is None
    assert same(search.baseline_preconditioner(again), made)


def test_the_cache_can_be_off_and_stays_small(tmp_path, monkeypatch, fresh):
    monkeypatch.setenv("DETENTE_CACHE", "off")
    made = search.baseline_preconditioner(dataclasses.replace(fresh))
    monkeypatch.setenv("DETENTE_CACHE", str(tmp_path))
    monkeypatch.setattr(baseline, "FILES", 2)
    for k in range(4):
        economy = dataclasses.replace(fresh, trade_elasticity=fresh.trade_elasticity + k)
        baseline.keep(economy, made)
    assert len(list((tmp_path / "baselines").iterdir())) == 2
