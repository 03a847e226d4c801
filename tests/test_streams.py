"""Random numbers that depend on seed, round and content alone."""

import numpy as np
from scipy.stats import kstest

from skprune.row_table import RowTable
from skprune.streams import count_occurrences, draw_seed, row_uniforms

KEYS = np.array([f"row {i}" for i in range(5000)], dtype=object)
TABLE = RowTable(KEYS)
ALL = np.arange(len(TABLE))


def test_draws_are_uniform():
    assert kstest(row_uniforms(TABLE.digests, ALL, 0, 0), "uniform").pvalue > 1e-3


def test_draws_of_neighboring_seeds_and_rounds_are_unrelated():
    first = row_uniforms(TABLE.digests, ALL, 0, 0)
    for seed, round_ in [(1, 0), (0, 1), (1, 1)]:
        other = row_uniforms(TABLE.digests, ALL, seed, round_)
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


def test_a_row_has_the_same_draw_wherever_it_stands():
    order = np.random.default_rng(0).permutation(len(TABLE))[:1000]
    assert (row_uniforms(TABLE.digests, order, 3, 2) == row_uniforms(TABLE.digests, ALL, 3, 2)[order]).all()


def test_copies_share_a_draw_and_are_counted():
    draws = row_uniforms(TABLE.digests, np.zeros(100, dtype=int), 0, 0)
    assert len(set(draws)) == 1
    assert count_occurrences(np.array([2, 2, 0, 2]), 3).tolist() == [0, 1, 0, 2]


def test_random_state_is_a_seed_or_draws_one():
    assert draw_seed(7) == 7
    assert draw_seed(np.random.RandomState(0)) == draw_seed(np.random.RandomState(0))
