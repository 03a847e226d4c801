"""The contract of pool filters as a test suite, for your own filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sklearn.base import clone
from sklearn.utils import get_tags

from skprune.base import BaseFilter
from skprune.utils._container_checks import (
    check_invalid_numeric_rows_raise,
    check_invalid_texts_raise,
    check_numeric_containers,
    check_text_containers,
)
from skprune.utils._samples import Sample, text_sample, vector_sample
from skprune.utils._selection_checks import (
    check_duplicate_rows,
    check_exhausted_pool_raises,
    check_explain_matches_select,
    check_few_labels,
    check_fully_labeled_set_is_pruned,
    check_keep_is_exact,
    check_labeled_rows_are_never_selected,
    check_min_rows_is_respected,
    check_rows_are_identified_by_content,
    check_transform_and_get_support_match_select,
    check_unseen_rows_are_scored,
)
from skprune.utils._state_checks import (
    check_each_round_makes_new_draws,
    check_failed_calls_do_not_change_state,
    check_fit_does_not_change_parameters,
    check_invalid_pools_raise,
    check_n_jobs_does_not_change_results,
    check_partial_fit_on_unfitted_filter,
    check_pickle_preserves_state,
    check_refit_resets_state,
    check_same_seed_gives_same_rows,
    check_select_is_thread_safe,
)

__all__ = ["check_filter", "filter_checks"]


def check_filter(filter: BaseFilter) -> None:
    """Check that a filter fulfills the contract of :class:`~skprune.BaseFilter`.

    Parameters
    ----------
    filter : BaseFilter
        The filter to check. It is not changed, because each check uses a clone. Set its ``random_state`` and
        avoid slow models: the checks call ``fit`` more than a hundred times on up to 140 rows.

    Raises
    ------
    AssertionError
        If a check fails. The message begins with the name of the check.

    See Also
    --------
    filter_checks : The same checks one by one.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> from skprune.utils.estimator_checks import check_filter
    >>> check_filter(RandomFilter(keep=0.3, random_state=0))
    """
    for name, check in filter_checks(filter):
        try:
            check()
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


def filter_checks(filter: BaseFilter) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield ``(name, check)`` pairs, for instance for ``pytest.mark.parametrize``.

    A check is a callable without arguments that raises if the filter breaks the contract. A filter that
    accepts both texts and numeric rows is checked on both.

    Parameters
    ----------
    filter : BaseFilter
        The filter to check; see :func:`check_filter`.

    Yields
    ------
    name : str
        The name of the check and, in brackets, the kind of rows.
    check : callable
        The check.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> name, check = next(filter_checks(RandomFilter(random_state=0)))
    >>> name
    'check_transform_and_get_support_match_select[texts]'
    >>> check()
    """
    tags = get_tags(filter).input_tags
    samples = []
    if tags.string:
        samples.append(("texts", text_sample(), [*_COMMON, *_TEXT_ONLY]))
    if tags.two_d_array:
        samples.append(("vectors", vector_sample(), [*_COMMON, *_VECTORS_ONLY]))
    for kind, sample, checks in samples:
        for check in checks:
            yield f"{check.__name__}[{kind}]", partial(_run, check, filter, sample)


def _run(check: Callable[[Any, Sample], None], filter: BaseFilter, sample: Sample) -> None:
    check(clone(filter), sample)


_COMMON = [
    check_transform_and_get_support_match_select,
    check_keep_is_exact,
    check_min_rows_is_respected,
    check_labeled_rows_are_never_selected,
    check_fully_labeled_set_is_pruned,
    check_exhausted_pool_raises,
    check_rows_are_identified_by_content,
    check_duplicate_rows,
    check_unseen_rows_are_scored,
    check_few_labels,
    check_same_seed_gives_same_rows,
    check_each_round_makes_new_draws,
    check_n_jobs_does_not_change_results,
    check_select_is_thread_safe,
    check_refit_resets_state,
    check_partial_fit_on_unfitted_filter,
    check_pickle_preserves_state,
    check_fit_does_not_change_parameters,
    check_explain_matches_select,
    check_invalid_pools_raise,
    check_failed_calls_do_not_change_state,
]
_TEXT_ONLY = [check_text_containers, check_invalid_texts_raise]
_VECTORS_ONLY = [
    check_numeric_containers,
    check_invalid_numeric_rows_raise,
]
