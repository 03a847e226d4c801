"""Hashes of numeric rows: equal for equal content in any form, different otherwise."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from skprune.hashing import row_hashes

small = arrays(np.int8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-3, 3))


@given(small)
def test_rows_are_equal_exactly_if_their_hashes_are(rows):
    same_rows = (rows[:, None] == rows[None]).all(axis=2)
    hashes = row_hashes(rows)
    for half in range(2):
        assert ((hashes[:, None, half] == hashes[None, :, half]) == same_rows).all()


@given(small)
def test_every_form_of_a_row_has_one_hash(rows):
    expected = row_hashes(rows)
    twice = sp.coo_array(rows)
    stored_twice = sp.csr_array(
        (np.repeat(twice.data / 2.0, 2), (np.repeat(twice.row, 2), np.repeat(twice.col, 2))), shape=rows.shape
    )
    forms = [rows.astype(float), rows.astype(np.float32), np.asfortranarray(rows), sp.csr_matrix(rows)]
    forms += [sp.csc_array(rows), sp.coo_array(rows), stored_twice, np.where(rows == 0, -0.0, rows)]
    for form in forms:
        assert (row_hashes(form) == expected).all(), type(form)


def test_duplicate_entries_of_a_csr_matrix_are_summed_and_the_users_matrix_is_left_alone():
    matrix = sp.csr_array((np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    assert (row_hashes(matrix) == row_hashes(np.array([[3.0, 5.0]]))).all()
    assert matrix.nnz == 3


@pytest.mark.parametrize("n_features", [1, 3, 700])
def test_rows_can_be_picked_and_blocks_do_not_matter(n_features):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(700, n_features)).astype(float)
    picked = rng.permutation(700)[:411]
    for form in (X, sp.csr_array(X)):
        assert (row_hashes(form, picked) == row_hashes(X)[picked]).all()
        assert (row_hashes(form) == np.concatenate([row_hashes(X[[i]]) for i in range(700)])).all()


def test_a_column_of_zeros_changes_nothing_and_a_shifted_row_is_another():
    row = np.array([[1.0, 2.0, 0.0]])
    assert (row_hashes(row) == row_hashes(row[:, :2])).all()
    assert (row_hashes(row) != row_hashes(np.roll(row, 1))).all()


def test_large_sparse_rows_span_several_blocks():
    X = sp.random_array((50, 20_000), density=0.5, rng=np.random.default_rng(0), format="csr")
    assert (row_hashes(X) == row_hashes(X.toarray())).all()


def test_values_that_differ_in_their_last_bit_differ():
    x = np.float32([1.0, 1.0 + 2**-23, 1e30, 1e-30])[:, None]
    assert len(np.unique(row_hashes(x)[:, 0])) == 4
