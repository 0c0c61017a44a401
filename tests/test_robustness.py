"""Random hard economies and shocks: solved and verified by equations written out a second time, or refused in words."""

import dataclasses

import pytest

from benchmarks import robustness

SOLVED = 1  # a case of the series that has an answer


@pytest.mark.slow
def test_no_case_fails_in_silence():
    draws = [robustness.attempt(number, seed=1, embedded_every=0) for number in range(40)]
    assert not [robustness.said(draw) for draw in draws if draw.outcome in robustness.FAILURES]
    assert sum(draw.outcome == "solved" for draw in draws) > 20
    assert len({draw.behaviour for draw in draws}) > 6


def test_a_case_is_the_same_each_time_and_its_verdict_can_fail(monkeypatch: pytest.MonkeyPatch):
    first, again = (robustness.attempt(SOLVED, seed=1, embedded_every=0) for _ in range(2))
    assert (first.outcome, first.behaviour) == (again.outcome, again.behaviour)
    assert first.outcome == "solved"
    solve = robustness.solve

    def slightly_wrong(*given, **options):
        found = solve(*given, **options)
        return dataclasses.replace(found, price_change=found.price_change * (1 + 1e-6))

    monkeypatch.setattr(robustness, "solve", slightly_wrong)
    assert robustness.attempt(SOLVED, seed=1, embedded_every=0).outcome == "UNVERIFIED"
