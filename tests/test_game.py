"""The game of a coalition: a game by hand, brute force over orders and deviations, closed forms of textbooks."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detente import ballot, burden, game
from detente.ballot import QUALIFIED_MAJORITY, UNANIMITY, Ballot
from detente.cascade import Rules, cascade, cascades, next_to_leave, pieces, thresholds
from detente.errors import InputError

EXACT = 1e-12  # a few additions of doubles of order one
PROGRAMME = 1e-9  # the linear program, relative to the largest gain

# By hand: three members A, B, C = 0, 1, 2 -------------------------------------------------------------------
#
#   coalition       ∅    A    B   AB    C   AC   BC  ABC
#   target's loss   0    4    2    7    1    5    3    9
#   own A           0   −4    1   −3    0   −3    1   −1
#   own B           0    0   −1   −2    0    0   −1   −1
#   own C           0    0    0    0   −1   −1   −1   −1/2
#
# What keeping adds, at the coalition of the others (mask of the others: ∅, first, second, both):
#   A  own −4, −4 (B), −3 (C), −2 (BC)    hurt 4, 5, 4, 6    break-even 1, 4/5, 3/4, 1/3
#   B  own −1, −2 (A), −1 (C), −1 (AC)    hurt 2, 3, 2, 4    break-even 1/2, 2/3, 1/2, 1/4
#   C  own −1, −1 (A), −1 (B), −1/2 (AB)  hurt 1, 1, 1, 2    break-even 1, 1, 1, 1/4
TARGET = -np.array([0, 4, 2, 7, 1, 5, 3, 9.0])
OWN = np.array(
    [[0, -4, 1, -3, 0, -3, 1, -1], [0, 0, -1, -2, 0, 0, -1, -1], [0, 0, 0, 0, -1, -1, -1, -0.5]], float
)
A, B, C = 0, 1, 2
AB, AC, BC, ABC = 3, 5, 6, 7
HAND = game.effects(TARGET, OWN)


def test_shapley_by_hand():
    """Orders ABC ACB BAC BCA CAB CBA: A adds 4 4 5 6 4 6, B 3 4 2 2 4 2, C 2 1 2 1 1 1."""
    assert game.shapley(-TARGET) == pytest.approx([29 / 6, 17 / 6, 8 / 6], abs=EXACT)
    assert game.alone(-TARGET).tolist() == [4, 2, 1]
    assert game.last(-TARGET).tolist() == [6, 4, 2]


def test_break_even_by_hand():
    found = game.break_even(HAND)
    assert found[A] == pytest.approx([1, 1, 0.8, 0.8, 0.75, 0.75, 1 / 3, 1 / 3], abs=EXACT)
    assert found[B] == pytest.approx([1 / 2, 2 / 3, 1 / 2, 2 / 3, 1 / 2, 1 / 4, 1 / 2, 1 / 4], abs=EXACT)
    assert found[C] == pytest.approx([1, 1, 1, 1 / 4, 1, 1, 1, 1 / 4], abs=EXACT)
    after = [[1 / 3, 1 / 2, 1], [3 / 4, 1 / 4, 1], [4 / 5, 2 / 3, 1 / 4]]  # rows: who left
    assert game.after_exits(found) == pytest.approx(np.array(after), abs=EXACT)
    assert (-game.after_exits(HAND.own)).tolist() == [
        [2, 1, 1],
        [3, 1, 1],
        [4, 2, 0.5],
    ]  # what a stayer forgoes


def test_stability_by_hand():
    """At λ = 0.6 A gains −1.6 −1.0 −0.6 1.6 from keeping, B 0.2 −0.2 0.2 1.4, C −0.4 −0.4 −0.4 0.7.

    {B}: B gains 0.2, A would lose 1.0 and C 0.4 by joining. ABC: all gain. ∅: B would join. All others lose a member.
    """
    gains = game.gain(HAND, 0.6)
    assert gains[A, [0, 2, 4, 6]] == pytest.approx([-1.6, -1.0, -0.6, 1.6], abs=EXACT)
    assert gains[B, [0, 1, 4, 5]] == pytest.approx([0.2, -0.2, 0.2, 1.4], abs=EXACT)
    assert gains[C, [0, 1, 2, 3]] == pytest.approx([-0.4, -0.4, -0.4, 0.7], abs=EXACT)
    assert game.stable_coalitions(gains) == [1 << B, ABC]
    assert np.flatnonzero(game.internal(gains)).tolist() == [0, 1 << B, ABC]
    assert np.flatnonzero(game.external(gains)).tolist() == [
        1 << A,
        1 << B,
        ABC,
    ]  # with {C} alone, B would join


def test_cascade_by_hand():
    """At λ = 0.6 A's exit makes C go (−0.4) and B stay (0.2), also alone; at 0.4 B follows (−0.2)."""
    found = cascade(game.gain(HAND, 0.6), Rules(exits=(A,)))
    assert (found.order, found.visited, found.end) == ((A, C), (BC, 1 << B), 1 << B)
    assert (found.remaining, found.cycle) == (1, ())
    found = cascade(game.gain(HAND, 0.4), Rules(exits=(A,)))
    assert (found.order, found.visited, found.end) == ((A, C, B), (BC, 1 << B, 0), 0)
    at_once = cascade(game.gain(HAND, 0.4), Rules(exits=(A,), at_once=True))
    assert (at_once.steps, at_once.visited) == (((B, C),), (BC, 0))
    assert next_to_leave(game.gain(HAND, 0.6)) == (C, A, A)


def test_pieces_by_hand():
    """After A's exit: nobody is left below λ = 1/2, where B is indifferent; B alone up to 1, C's break-even; then both.

    Without an exit, below 1/3: A gains 2 − 6λ by leaving, B 1 − 4λ, C 1/2 − 2λ. A goes first, and the rest as above.
    """
    found = pieces(HAND, Rules(exits=(A,)))
    assert [(p.low, p.high, p.cascade.order) for p in found] == [
        (0, 0.5, (A, C, B)),
        (0.5, 1, (A, C)),
        (1, math.inf, (A,)),
    ]
    assert thresholds(found) == [0.5, 1]
    found = pieces(HAND)
    assert [(p.cascade.order, p.cascade.remaining) for p in found] == [((A, C, B), 0), ((), 3)]
    assert thresholds(found) == pytest.approx([1 / 3], abs=EXACT)
    assert [c.remaining for c in cascades(HAND, [0.3, 0.4, 1.0])] == [0, 3, 3]
    by_member = np.array([[0.1, 0.4], [0.0, 0.0], [9.0, 9.0]])
    assert [c.order for c in cascades(HAND, by_member)] == [(A, B), (B, A)]


def test_just_rational_holds_the_full_coalition_and_no_less():
    worth = game.just_rational(HAND)
    assert worth == pytest.approx([1 / 3, 1 / 4, 1 / 4], abs=EXACT)
    assert ABC in game.stable_coalitions(game.gain(HAND, worth))
    for i in range(3):
        less = worth * np.where(np.arange(3) == i, 1 - 1e-9, 1)
        assert ABC not in game.stable_coalitions(game.gain(HAND, less))
    assert next_to_leave(game.gain(HAND, worth)) == (C, A, A)
    # with slack s after A's exit: B gains −1 + 2 (1 + s)/4, nil at s = 1; C gains −1 + (1 + s)/4, nil at s = 3
    assert thresholds(pieces(HAND, Rules(exits=(A,)), scale=worth, within=(1, np.inf))) == pytest.approx(
        [2, 4]
    )


def test_efficiency_by_hand():
    found = game.efficiency(TARGET, OWN)
    assert found.borne == pytest.approx([1, 1, 0.5], abs=EXACT)
    assert found.caused.sum() == pytest.approx(2.5, abs=EXACT)
    # own A's orders ABC ACB BAC BCA CAB CBA: A adds −4 −4 −4 −2 −3 −2, B 1 2 1 1 2 1, C 2 1 2 0 0 0
    assert found.cost[A] == pytest.approx([19 / 6, -8 / 6, -5 / 6], abs=EXACT)
    assert found.borne_per_pressure == pytest.approx([6 / 29, 6 / 17, 3 / 8], abs=EXACT)
    idle = game.efficiency(np.zeros(8), OWN)
    assert np.isnan(idle.caused_per_pressure).all()


# Conventions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "hurt", "least", "most", "break_even"),
    [
        (-1, 2, 0.5, np.inf, 0.5),  # costs and hurts: from λ = 1/2
        (1, 2, -0.5, np.inf, -0.5),  # gains and hurts: at any λ ≥ 0
        (0, 2, 0, np.inf, 0),
        (-1, 0, np.inf, -np.inf, np.inf),  # costs and does nothing: never
        (1, 0, -np.inf, np.inf, -np.inf),
        (0, 0, -np.inf, np.inf, -np.inf),
        (-1, -2, -np.inf, -0.5, np.inf),  # costs and helps: at no λ ≥ 0
        (1, -2, -np.inf, 0.5, -np.inf),  # gains and helps: up to λ = 1/2
    ],
)
def test_signs(own, hurt, least, most, break_even):
    found = game.effects([0, -hurt], [[0, own]])
    interval = game.rational(found)
    assert (interval.least[0, 1], interval.most[0, 1]) == (least, most)
    assert game.break_even(found)[0].tolist() == [break_even] * 2
    for lam in (0.0, 0.25, 0.5, 0.75):
        assert (game.gain(found, lam)[0, 1] >= 0) == (least <= lam <= most)
    if break_even == np.inf:
        with pytest.raises(InputError, match="makes member 0 keep"):
            game.just_rational(found)
    else:
        assert game.gain(found, game.just_rational(found))[0, 1] >= 0


def test_negligible_effects_are_nil():
    noisy = [0, -1e-13], [[0, -2e-13]]
    assert game.break_even(game.effects(*noisy))[0, 1] == pytest.approx(2)
    assert game.break_even(game.effects(*noisy, negligible=1e-12))[0, 1] == -np.inf


def test_a_bad_table_is_named():
    with pytest.raises(InputError, match="6 coalitions"):
        game.shapley(np.zeros(6))
    with pytest.raises(InputError, match=r"members \[0, 2\]"):
        game.shapley([0, 0, 0, 0, 0, np.nan, 0, 0])
    with pytest.raises(InputError, match=r"\[2\^m\] and \[m, 2\^m\]"):
        game.effects(np.zeros(8), np.zeros((2, 8)))
    with pytest.raises(InputError, match="no member 3"):
        game.marginal(TARGET, 3)
    with pytest.raises(InputError, match="worth"):
        game.gain(HAND, [1, 2])
    with pytest.raises(InputError, match="Member 0 cannot leave"):
        cascade(game.gain(HAND, 1), Rules(exits=(A,), start=BC))
    with pytest.raises(InputError, match="within"):
        pieces(HAND, within=(1, 1))
    with pytest.raises(InputError, match="scale"):
        pieces(HAND, scale=[np.inf, 1, 1])


# Shapley values: closed forms and all orders ----------------------------------------------------------------


def test_an_additive_game_of_sixteen():
    worth = np.random.default_rng(0).normal(size=16)
    values = worth @ game.membership(16)
    assert game.shapley(values) == pytest.approx(worth, abs=EXACT)


def test_a_unanimity_game():
    """All of T are needed and share alike (Shapley 1953)."""
    inside = game.membership(6)
    needed = [0, 3, 4]
    expected = np.where(np.isin(np.arange(6), needed), 1 / 3, 0)
    assert game.shapley(inside[needed].all(axis=0)) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("rights", [1, 2, 5])
def test_a_glove_game(rights: int):
    """One left glove and r right ones make one pair: the left one gets r/(r + 1), unless it comes before all right ones."""
    inside = game.membership(rights + 1)
    pair = inside[0] & inside[1:].any(axis=0)
    expected = [rights / (rights + 1)] + [1 / (rights * (rights + 1))] * rights
    assert game.shapley(pair) == pytest.approx(expected, abs=EXACT)


def by_orders(values: np.ndarray) -> np.ndarray:
    m = len(values).bit_length() - 1
    total, orders = np.zeros(m), list(permutations(range(m)))
    for order in orders:
        here = 0
        for k in order:
            total[k] += values[here | 1 << k] - values[here]
            here |= 1 << k
    return total / len(orders)


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_shapley_is_the_mean_over_orders(m: int):
    values = np.random.default_rng(m).normal(size=(2, 3, 2**m))
    found = game.shapley(values)
    assert found.shape == (2, 3, m)
    assert found.sum(axis=-1) == pytest.approx(values[..., -1] - values[..., 0], abs=EXACT)
    for i, j in np.ndindex(2, 3):
        assert found[i, j] == pytest.approx(by_orders(values[i, j]), abs=EXACT)


# Random games against brute force ---------------------------------------------------------------------------

QUARTERS = st.integers(0, 12).map(lambda k: k / 4)  # λ; with whole tables all sums are exact, ties included


@st.composite
def games(draw, most: int = 4):
    m = draw(st.integers(1, most))
    whole = st.integers(-6, 6)
    target = draw(st.lists(whole, min_size=2**m, max_size=2**m))
    own = draw(st.lists(whole, min_size=m * 2**m, max_size=m * 2**m))
    return np.array(target, float), np.reshape(own, (m, -1)).astype(float)


def payoff(setting, worth, i: int, coalition: int) -> float:
    target, own = setting
    return own[i, coalition] - worth[i] * target[coalition]


@given(games(), st.lists(QUARTERS, min_size=4, max_size=4))
@settings(max_examples=60)
def test_stability_is_that_of_all_deviations(setting, worth):
    m = len(setting[1])
    found = game.effects(*setting)
    expected = [
        all(payoff(setting, worth, i, s) >= payoff(setting, worth, i, s ^ 1 << i) for i in range(m))
        for s in range(2**m)
    ]
    grid = np.array([worth[:m], [0.5] * m]).T
    gains = game.gain(found, grid)
    assert gains.shape == (2, m, 2**m)
    assert game.stable(gains)[0].tolist() == expected
    assert game.stable(game.gain(found, 0.5)).tolist() == game.stable(gains)[1].tolist()
    assert np.array_equal(game.stable(gains), game.internal(gains) & game.external(gains))


def by_walking(setting, worth, rules: Rules):
    """The course by payoffs of all single moves; the coalitions in their order, and whether one came back."""
    m = len(setting[1])
    here = 2**m - 1
    for k in rules.exits:
        here ^= 1 << k
    seen = [here]
    while True:
        rise = {
            i: payoff(setting, worth, i, here ^ 1 << i) - payoff(setting, worth, i, here)
            for i in range(m)
            if i not in rules.exits and (rules.re_entry or here >> i & 1)
        }
        willing = [i for i in rise if rise[i] > 0]
        if not willing:
            return seen, False
        if not rules.at_once:
            willing = [max(willing, key=lambda i: (rise[i], -i))]
        for i in willing:
            here ^= 1 << i
        if here in seen:
            return [*seen, here], True
        seen.append(here)


RULES = st.builds(
    Rules, exits=st.sampled_from([(), (0,)]), at_once=st.booleans(), re_entry=st.booleans(), start=st.none()
)


@given(games(), st.lists(QUARTERS, min_size=4, max_size=4), RULES)
@settings(max_examples=150)
def test_a_cascade_is_the_walk_over_payoffs(setting, worth, rules):
    m = len(setting[1])
    found = cascade(game.gain(game.effects(*setting), worth[:m]), rules)
    visited, cycles = by_walking(setting, worth, rules)
    assert list(found.visited) == visited
    assert (found.end is None) == cycles == bool(found.cycle) == (found.remaining is None)
    if cycles:
        assert found.cycle == found.visited[found.visited.index(found.visited[-1]) : -1]
    elif rules.re_entry and not rules.exits:
        assert found.end in game.stable_coalitions(game.gain(game.effects(*setting), worth[:m]))


def all_breaks(found: game.Effects) -> list[float]:
    """Every λ at which two lines ±(own + λ hurt) of a coalition, or one and zero, meet."""
    m = len(found.own)
    breaks = {0.0}
    for coalition in range(2**m):
        sign = [-1 if coalition >> i & 1 else 1 for i in range(m)]
        lines = [(sign[i] * found.own[i, coalition], sign[i] * found.hurt[i, coalition]) for i in range(m)]
        lines.append((0, 0))
        breaks |= {
            (a0 - b0) / (b1 - a1)
            for a0, a1 in lines
            for b0, b1 in lines
            if a1 != b1 and (a0 - b0) * (b1 - a1) > 0
        }
    return sorted(breaks)


@given(games(3), RULES)
@settings(max_examples=60)
def test_pieces_are_those_of_all_break_points(setting, rules):
    found = game.effects(*setting)
    got = pieces(found, rules)
    assert (got[0].low, got[-1].high) == (0, np.inf)
    for before, after in pairwise(got):
        assert before.high == pytest.approx(after.low, rel=1e-11)
        assert before.cascade != after.cascade
    breaks = all_breaks(found)
    middles = [(a + b) / 2 for a, b in pairwise(breaks) if b - a > 1e-9] + [breaks[-1] + 1]
    for lam in middles:
        (piece,) = [p for p in got if p.low < lam < p.high]
        assert piece.cascade == cascade(game.gain(found, lam), rules)
    edges = [p.low for p in got[1:]]
    assert all(min(abs(edge - known) for known in breaks) <= 1e-9 * (1 + edge) for edge in edges)


@given(games(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_names_and_units_of_money_do_not_matter(setting, random):
    target, own = setting
    m = len(own)
    order = list(range(m))
    random.shuffle(order)  # member k of the new game is order[k] of the old
    old = sum((np.arange(2**m) >> k & 1) << order[k] for k in range(m))
    renamed = game.effects(1024 * target[old], 1024 * own[order][:, old])
    plain = game.effects(target, own)
    assert np.array_equal(game.break_even(renamed), game.break_even(plain)[order][:, old])
    assert game.shapley(target[old]) == pytest.approx(game.shapley(target)[order], abs=1e-11)


def test_re_entry_can_go_round_for_ever():
    """Member 0 keeps only with 1, member 1 only without 0: both → 0 alone → nobody → 1 alone → both."""
    gains = np.array([[-1, -1, 1, 1], [1, -1, 1, -1.0]])
    found = cascade(gains, Rules(re_entry=True))
    assert (found.cycle, found.end, found.order) == ((3, 1, 0, 2), None, (1, 0))
    assert game.stable_coalitions(gains) == []
    assert cascade(gains).end == 0


# Blocs ------------------------------------------------------------------------------------------------------

EQUAL = np.ones(27)
UNEVEN = np.array([20.0] * 3 + [40 / 24] * 24)  # three states with three fifths of the people


@pytest.mark.parametrize(
    ("against", "population", "expected"),
    [
        (range(9), EQUAL, True),  # 18 of 27 states, two thirds of the people
        (range(10), EQUAL, False),  # 17 are 63 % of the people
        (range(3), UNEVEN, True),  # 40 % of the people, but three states cannot block
        (range(4), UNEVEN, False),  # four can
        (range(3, 15), UNEVEN, True),  # 15 of 27 states are 55.6 %, and the large ones among them
        (range(3, 16), UNEVEN, False),  # 14 are not 55 %
    ],
)
def test_a_qualified_majority_of_the_treaty(against, population, expected):
    favour = ~np.isin(np.arange(27), list(against))
    assert ballot.passes(favour, QUALIFIED_MAJORITY, population) == expected


def test_a_share_just_met_is_met():
    favour = np.arange(20) < 11  # 55 % of 20, which is 11.000000000000002 as a product of doubles
    assert ballot.passes(favour, Ballot(0.55))
    assert not ballot.passes(np.arange(20) < 10, Ballot(0.55))


def test_one_state_decides_under_unanimity():
    gains = np.array([[3, 1, 0], [3, 1, -1], [-3, -1, -2], [-3, 1, -2.0]])
    assert ballot.keeps(gains, UNANIMITY).tolist() == [True, False, False, False]  # a renewal
    assert ballot.keeps(gains, UNANIMITY, proposal="lift").tolist() == [True, True, False, True]  # a repeal
    assert ballot.pivotal_gain(gains, UNANIMITY).tolist() == [0, -1, -3, -3]
    assert ballot.pivotal_gain(gains, UNANIMITY, proposal="lift").tolist() == [3, 3, -1, 1]


@given(
    st.lists(st.integers(-3, 3), min_size=5, max_size=5),
    st.lists(st.integers(1, 9), min_size=5, max_size=5),
    st.sampled_from([UNANIMITY, QUALIFIED_MAJORITY, Ballot(0.55, 0.65), Ballot(0.2, 0.5, 2)]),
    st.sampled_from(["keep", "lift"]),
)
def test_the_pivotal_gain_has_the_sign_of_the_decision(gains, people, rule, proposal):
    pivot = ballot.pivotal_gain(gains, rule, people, proposal)
    assert (pivot >= 0) == ballot.keeps(gains, rule, people, proposal)
    known = [g for g in gains if ballot.passes(np.array(gains) >= g, rule, people)]
    if proposal == "keep":
        assert pivot == max(known)
    assert pivot in gains


def test_a_bloc_of_states_is_one_member():
    """B is two states, and the first bears all of B's cost: under unanimity it ends a measure, or the other keeps it."""
    states = np.array([OWN[B], 0 * OWN[B]])
    by_state = ballot.state_gains(TARGET, states, B, worth=[0.2, 0.2])
    assert by_state[:, 0] == pytest.approx(HAND.own[B] + 0.2 * HAND.hurt[B], abs=EXACT)
    assert by_state[:, 1] == pytest.approx(0.2 * HAND.hurt[B], abs=EXACT)
    gains = game.gain(HAND, 0.6)
    assert cascade(gains).order == ()
    gains[B] = ballot.pivotal_gain(by_state, UNANIMITY)
    assert cascade(gains).order[0] == B  # −1 + 0.2 × 4 < 0
    gains[B] = ballot.pivotal_gain(by_state, UNANIMITY, proposal="lift")
    assert cascade(gains).order == ()


def test_a_bad_ballot_is_refused():
    with pytest.raises(InputError, match="ballot"):
        Ballot(1.2)
    with pytest.raises(InputError, match="population"):
        ballot.passes([True, False], QUALIFIED_MAJORITY)
    with pytest.raises(InputError, match="proposal"):
        ballot.keeps([1.0], UNANIMITY, proposal="stay")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="states"):
        ballot.state_gains(TARGET, OWN[:, :4], B, 1.0)


# Burdens ----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(1, 1e5)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_an_equal_burden(given_, random):
    ev, income = np.array(given_).T
    transfers = burden.equal_burden(ev, income)
    shuffled = list(transfers)
    random.shuffle(shuffled)
    assert sum(shuffled) == transfers.sum() == math.fsum(transfers) == 0
    after = (ev + transfers) / income
    scale = np.abs(ev).sum() / income.min()
    assert after == pytest.approx(np.full(len(ev), ev.sum() / income.sum()), abs=EXACT * max(scale, 1e-300))


def test_an_equal_burden_solves_its_equations():
    """T_i − b I_i = −EV_i and Σ T = 0, n + 1 equations in n + 1 unknowns."""
    ev, income = np.array([-1.0, -2, -0.5, 0.3]), np.array([25.0, 18, 4, 1])
    system = np.block([[np.eye(4), -income[:, None]], [np.ones((1, 4)), np.zeros((1, 1))]])
    solved = np.linalg.solve(system, [*-ev, 0])
    found = burden.equal_burden(np.array([ev, 2 * ev]), income)
    assert found[0] == pytest.approx(solved[:4], abs=EXACT)
    assert found[1] == pytest.approx(2 * solved[:4], abs=EXACT)


def random_gains(seed: int, m: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return game.gain(game.effects(rng.normal(size=2**m), rng.normal(size=(m, 2**m))), 0.7)


@pytest.mark.parametrize("seed", range(12))
def test_cheapest_transfers_against_the_closed_form(seed: int):
    """Each short member gets what it is short of, and no more; what the others gain, up to their limits, can pay for it."""
    gains = random_gains(seed)
    rng = np.random.default_rng(seed)
    coalition = int(rng.integers(3, 32))
    limit = None if seed % 3 == 0 else np.where(rng.random(5) < 0.3, 0, rng.uniform(0, 2, 5))
    inside = list(game.bits(coalition))
    found = gains[inside, coalition]
    short = np.maximum(-found, 0).sum()
    spare = np.maximum(found, 0) if limit is None else np.clip(found, 0, limit[inside])
    got = burden.cheapest_transfers(gains, coalition, limit)
    assert got.feasible == (spare.sum() >= short)
    if limit is None:
        assert got.feasible == (burden.potential_surplus(gains, coalition) >= 0)
        assert got.missing == pytest.approx(
            max(-burden.potential_surplus(gains, coalition), 0), abs=PROGRAMME
        )
    assert got.missing == pytest.approx(max(short - spare.sum(), 0), abs=PROGRAMME)
    assert got.gross == pytest.approx(short, abs=PROGRAMME)
    assert got.transfers.sum() == pytest.approx(got.missing, abs=EXACT)
    assert np.isnan(got.surplus).tolist() == [i not in inside for i in range(5)]
    assert (got.surplus[inside] >= -PROGRAMME).all()
    assert (-got.transfers[inside] <= (np.inf if limit is None else limit[inside] + PROGRAMME)).all()
    assert not np.delete(got.transfers, inside).any()


def test_both_answers_occur_in_the_cases_above():
    seen = {burden.potential_surplus(random_gains(seed), 31) >= 0 for seed in range(12)}
    assert seen == {True, False}


def test_transfers_by_hand():
    """At λ = 0.3 the full coalition gives A −0.2, B 0.2 and C 0.1: B and C can pay, C alone cannot."""
    gains = game.gain(HAND, 0.3)
    assert gains[:, ABC] == pytest.approx([-0.2, 0.2, 0.1], abs=EXACT)
    both = burden.cheapest_transfers(gains, ABC)
    assert both.feasible
    assert both.transfers.sum() == 0
    assert both.transfers[A] == pytest.approx(0.2, abs=EXACT)
    alone = burden.cheapest_transfers(gains, ABC, [np.inf, 0, np.inf])
    assert not alone.feasible
    assert alone.missing == pytest.approx(0.1, abs=PROGRAMME)
    assert alone.transfers == pytest.approx([0.2, 0, -0.1], abs=PROGRAMME)
    assert burden.surplus_shares(gains, ABC) == pytest.approx([0.7 / 3, -0.5 / 3, -0.2 / 3], abs=EXACT)
    assert burden.surplus_shares(gains, AB, [1, 0]).tolist()[C] == 0


def test_bad_burdens_are_refused():
    gains = game.gain(HAND, 0.3)
    with pytest.raises(InputError, match="income"):
        burden.equal_burden([-1, -2], [1, 0])
    with pytest.raises(InputError, match="variation"):
        burden.equal_burden([-1, -2, 3], [1, 1])
    with pytest.raises(InputError, match="coalition 0"):
        burden.cheapest_transfers(gains, 0)
    with pytest.raises(InputError, match="limit"):
        burden.cheapest_transfers(gains, ABC, [1, -1, 1])
    with pytest.raises(InputError, match="share"):
        burden.surplus_shares(gains, ABC, [1, 1, 1])
