"""The first pass over the files of a job: their texts are read and scored, and each row gets a decision."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.base import clone

from skprune._progress import Progress
from skprune.base import BaseFilter
from skprune.decisions import Decisions, KnownLabels, by_part, scoring_filter
from skprune.exceptions import EmptyPoolError
from skprune.files.base import DataFile, is_missing
from skprune.files.cells import cells_of, groups_of
from skprune.files.growing import Growing
from skprune.files.job import Job
from skprune.files.reader import FileReader
from skprune.filters.quota_filter import QuotaFilter
from skprune.row_table import digests, is_written
from skprune.streaming.pool import StreamedPool


class Plan:
    """The first pass: read and score the texts of all files, and decide about every row."""

    def __init__(
        self,
        files: list[DataFile],
        filter: BaseFilter,
        job: Job,
        on_missing: str,
        id: str | None,
        n_train: int,
        verbose: int,
        known: KnownLabels,
        rethreshold: float | int | None = None,
    ) -> None:
        y = None if known.column is None else cells_of(files, known.column)
        self._keep_missing = on_missing == "keep"
        pool, self._sizes, self._missing = read_pool(files, on_missing, id, n_train, verbose)
        fitted = clone(filter)
        scoring = scoring_filter(fitted)
        parameters = scoring.get_params(deep=False)
        if "random_state" in parameters:
            scoring.set_params(random_state=job.seed)
        more = {}
        if isinstance(fitted, QuotaFilter):
            floors = fitted.min_per_group
            named = floors if isinstance(floors, dict) else ()
            more = {"groups": groups_of(files, str(fitted.groups), self._missing, named)}
        with warnings.catch_warnings():
            if "memory" in parameters and parameters["memory"] is None:
                scoring.set_params(memory=job.scores)
                warnings.filterwarnings("ignore", message=r".* has no \.fingerprint, so memory=")
            known.fit(fitted, pool, y, self._sizes, self._missing, **more)
            if rethreshold is not None:
                fitted.rethreshold(rethreshold)
            job.close_scores()  # its pages would count as memory of this process
            self._table = fitted.explain(pool)

    def decisions(self) -> Iterator[Decisions]:
        """Return the decisions about the rows of each file."""
        return by_part(self._table, self._sizes, self._missing, self._keep_missing)


def read_pool(
    files: list[DataFile], on_missing: str, id: str | None, n_train: int, verbose: int
) -> tuple[StreamedPool, list[int], list[np.ndarray]]:
    """Read the texts of some files once, and return the pool of their rows.

    Returns
    -------
    pool : StreamedPool
    sizes : list of int
        Number of rows of each file that have a text.
    missing : list of ndarray of int
        The rows of each file that have none.
    """
    hashes, blank = Growing((2,), np.uint64), Growing((), np.bool_)
    sizes, all_missing = [], []
    n_chars = 0
    with Progress("reading", len(files), unit="file", verbose=verbose) as progress:
        for file in files:
            n_rows, missing = 0, [np.empty(0, dtype=np.intp)]
            for texts in file.texts():
                without = is_missing(texts)
                if without.any():
                    missing.append(n_rows + np.flatnonzero(without))
                    if on_missing == "error":
                        raise ValueError(_about_missing(file, int(missing[-1][0]), id))
                    texts = texts[~without]
                hashes.extend(_hashed(texts, file, n_rows))
                blank.extend(~is_written(texts))
                n_chars += sum(map(len, texts))
                n_rows += len(without)
            all_missing.append(np.concatenate(missing))
            sizes.append(n_rows - len(all_missing[-1]))
            progress.update()
    if not sum(sizes):
        raise EmptyPoolError("paths hold no row with a text")
    pool = StreamedPool(FileReader(files, sizes, n_chars), hashes.taken(), blank.taken(), n_train)
    return pool, sizes, all_missing


def _hashed(texts: np.ndarray, file: DataFile, start: int) -> np.ndarray:
    try:
        return digests(texts)
    except UnicodeEncodeError as error:
        row = next(row for row, text in enumerate(texts) if text == error.object)
        raise ValueError(
            f"{file.place(start + row)}: the text holds a lone surrogate at character {error.start}, so "
            "it is not valid text"
        ) from error


def _about_missing(file: DataFile, row: int, id: str | None) -> str:
    name, start = "", 0
    for batch in () if id is None else file.batches():
        if id is not None and row < start + len(batch):
            name = f"{id} {file.cell(batch, row - start, id)!r}"
            break
        start += len(batch)
    return (
        f"{file.place(row, name)}: {file.text!r} is missing. on_missing='drop' removes such rows, and "
        "on_missing='keep' lets them pass"
    )
