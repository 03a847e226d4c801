"""What every pool filter promises, as checks that anybody's filter can be put to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sklearn.base import clone
from sklearn.utils import get_tags

from skprune.base import BaseFilter
from skprune.utils._container_checks import (
    check_every_numeric_container_is_taken,
    check_every_text_container_gives_the_same_rows,
    check_other_columns_and_infinite_values_are_refused,
    check_rows_that_are_no_texts_are_refused,
)
from skprune.utils._samples import Sample, text_sample, vector_sample
from skprune.utils._selection_checks import (
    check_a_query_never_gets_too_few,
    check_a_reordered_or_shrunken_pool_is_recognized,
    check_a_set_with_every_label_is_pruned_itself,
    check_copies_are_rows_like_any_other,
    check_explain_agrees_with_select,
    check_keep_is_hit_exactly,
    check_labeled_rows_are_passed_over,
    check_one_class_and_single_rows_of_a_class_are_fine,
    check_rows_never_seen_take_part,
    check_select_and_its_companions_agree,
    check_when_all_is_labeled_the_pool_is_exhausted,
)
from skprune.utils._state_checks import (
    check_a_pickle_goes_on_alike,
    check_an_unfitted_partial_fit_is_a_fit,
    check_bad_pools_are_refused_before_work,
    check_bad_rounds_are_refused_and_change_nothing,
    check_each_round_has_a_stream_of_its_own,
    check_n_jobs_changes_no_picks,
    check_parameters_are_untouched_by_fit,
    check_refitting_forgets,
    check_same_seed_same_picks,
    check_select_is_pure_in_any_thread,
)

__all__ = ["check_filter", "filter_checks"]


def check_filter(filter: BaseFilter) -> None:
    """Check that a filter keeps the promises of :class:`~skprune.BaseFilter`.

    Parameters
    ----------
    filter : BaseFilter
        Never changed: each check works on a clone. Give it a ``random_state``, and no slow model: it is
        fitted some dozen times on 140 rows.

    Raises
    ------
    AssertionError
        If a promise is broken; the message begins with the name of the check.

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
    """Yield ``(name, check)`` pairs; a check takes nothing and raises where a promise is broken.

    For ``pytest.mark.parametrize``. A filter that reads both texts and numeric rows is checked on both.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> name, check = next(filter_checks(RandomFilter(random_state=0)))
    >>> name
    'check_select_and_its_companions_agree[texts]'
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
    check_select_and_its_companions_agree,
    check_keep_is_hit_exactly,
    check_a_query_never_gets_too_few,
    check_labeled_rows_are_passed_over,
    check_a_set_with_every_label_is_pruned_itself,
    check_when_all_is_labeled_the_pool_is_exhausted,
    check_a_reordered_or_shrunken_pool_is_recognized,
    check_copies_are_rows_like_any_other,
    check_rows_never_seen_take_part,
    check_one_class_and_single_rows_of_a_class_are_fine,
    check_same_seed_same_picks,
    check_each_round_has_a_stream_of_its_own,
    check_n_jobs_changes_no_picks,
    check_select_is_pure_in_any_thread,
    check_refitting_forgets,
    check_an_unfitted_partial_fit_is_a_fit,
    check_a_pickle_goes_on_alike,
    check_parameters_are_untouched_by_fit,
    check_explain_agrees_with_select,
    check_bad_pools_are_refused_before_work,
    check_bad_rounds_are_refused_and_change_nothing,
]
_TEXT_ONLY = [check_every_text_container_gives_the_same_rows, check_rows_that_are_no_texts_are_refused]
_VECTORS_ONLY = [
    check_every_numeric_container_is_taken,
    check_other_columns_and_infinite_values_are_refused,
]
