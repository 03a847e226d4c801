"""Prune files in two passes over Arrow batches: score the texts, then write the rows."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import clone

from skprune._progress import Progress
from skprune.base import BaseFilter
from skprune.decisions import (
    Decisions,
    check_filter,
    check_options,
    names_added,
    scoring_filter,
)
from skprune.files.base import DataFile
from skprune.files.checks import open_inputs
from skprune.files.job import Job, read_done
from skprune.files.paths import HUGGING_FACE, find_files, state_of, would_find
from skprune.files.plan import Plan
from skprune.settings import plain_settings


@dataclass(frozen=True)
class PruneSummary:
    """What :func:`prune` did.

    Attributes
    ----------
    rows, kept, removed : int
        Numbers of rows.
    reasons : dict of str to int
        Number of rows, kept ones too, by the reason of the decision.
    files : tuple of str
        The input files, relative to the folder that holds them all. The files in ``out`` have the same names.
    out : str
        The folder with the rows that survive.
    removed_to : str or None
        The folder with the removed rows.
    seconds : float
        Wall time of this call; of an interrupted job, the time since it was resumed.
    """

    rows: int
    kept: int
    removed: int
    reasons: dict[str, int]
    files: tuple[str, ...]
    out: str
    removed_to: str | None
    seconds: float


def prune(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    filter: BaseFilter,
    *,
    out: str | os.PathLike[str],
    text: str | None = None,
    removed: str | os.PathLike[str] | None = None,
    id: str | None = None,
    label: str | None = None,
    labeled: Any = None,
    on_missing: str = "error",
    explain_kept: bool = False,
    n_train: int = 100_000,
    rethreshold: float | int | None = None,
    keep_scores: bool = False,
    verbose: int = 0,
) -> PruneSummary:
    """Prune files that need not fit into memory.

    The first pass checks that all columns can be read, and scores the texts: in memory are a hash and the
    scores of each row. The second pass writes the rows that survive to ``out``, and the others to
    ``removed``, in files of the same names, kinds and columns as those given.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Files, folders or patterns (``"data/*.parquet"``): Parquet, Arrow (also Hugging Face datasets on
        disk), JSON lines, CSV, TSV, and plain text with one text per line. All but the first two may be
        compressed with gzip, bzip2, lz4 or zstandard, as their suffix says. They are read in the order of
        their names, and never changed.
    filter : BaseFilter
        Cloned, never changed. It must decide by scores of single rows, or by their distance to a few rows;
        see Notes.
    out : path-like
        A new or empty folder, or that of the same job if it was interrupted.
    text : str, default=None
        The column of texts. None: the parameter ``text`` of the filter, else the only column of texts.
    removed : path-like, default=None
        A folder for the removed rows, which have more columns: ``reason``, ``rank`` (−1), ``threshold``, the
        scores of the method, and ``file`` and ``row`` (from 0) unless ``id`` is given. A name that a file has
        already gets the prefix ``prune_``. Removed lines of plain text go to files of JSON lines. None: the
        removed rows are only counted.
    id : str, default=None
        A column that identifies a row. Errors name its value.
    label : str, default=None
        The column of labels known already, of ``labeled`` if that is given, else of the files. −1, NaN, null,
        an absent key in JSON and an empty cell without quotes in CSV mean that a row has none. Labeled rows
        are not kept, unless every row has a label: then the labeled set itself is pruned.
    labeled : frame, default=None
        Labeled rows in memory, as a frame of pandas, polars or pyarrow with the columns ``text`` and
        ``label``. They need not be rows of the files.
    on_missing : {"error", "drop", "keep"}, default="error"
        What happens to a row without a text: null, an absent key in JSON, an empty cell without quotes in
        CSV. Such rows are never scored, and do not count in a size that is a share.
    explain_kept : bool, default=False
        Whether the rows in ``out`` get the added columns too.
    n_train : int, default=100_000
        Maximum number of distinct texts that are in memory for a component that learns from the pool, such as
        the n-gram model of ``PerplexityFilter``: those with the lowest content hashes.
    rethreshold : float or int, default=None
        Fit the filter as it is, and then decide as after :meth:`skprune.BaseFilter.rethreshold` with this
        size. With the scores of an earlier job as ``memory`` and the same ``random_state``, no model is asked
        again.
    keep_scores : bool, default=False
        Leave the scores in ``out/.skprune/scores`` when the job is done: about 32 bytes per different text
        and model. They serve as ``memory`` of another job. Ignored if the filter has a ``memory``.
    verbose : int, default=0
        1 shows the progress bars at once, everywhere; see the parameter of that name of the filters.

    Returns
    -------
    PruneSummary

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or none of the files holds data.
    FileExistsError
        If ``out`` or ``removed`` holds anything else.
    BlockingIOError
        If another process writes to one of them.
    TypeError
        If the filter needs the pool in memory, or a column or row does not hold text.
    ValueError
        If a file cannot be read, has no column ``text``, or a row has no text: the message names file and
        row. Also if two inputs would be written to one file, or if ``paths`` would find the output as input.
        Nothing is scored by then.
    OSError
        If the disk is full.

    See Also
    --------
    skprune.BaseFilter.transform : The same for a pool in memory.

    Notes
    -----
    *The same rows as in memory* survive: those that ``filter.fit(texts, labels).select(texts)`` gives for the
    texts of all files in order; with ``labeled``, those after ``partial_fit(labeled[text],
    labeled[label])``. This holds for ``RandomFilter``, ``PerplexityFilter``, ``AskLLMFilter``,
    ``ActivePruneFilter``, ``EntropyIntervalFilter``, ``AnchorFilter``, ``SEALSFilter`` and ``ProxyFilter``. A
    component that is trained on the pool sees ``n_train`` texts; an :class:`~skprune.NGramScorer` takes the
    same sample in memory if its ``max_train_texts`` is not larger. A
    :class:`~skprune.QuotaFilter` around one of them takes its ``groups`` from a column of the files, which
    costs another reading of that column and 16 bytes of memory per row. Other filters need all vectors at
    once, or a learner, and are refused.

    *Vectors* are kept where scores are, and are read part by part. A search in memory is approximate from
    four million rows on, unless ``index="exact"``; here it is always exact. Products in single precision
    depend on how many rows they have at a time, so that a predicted margin of ``ProxyFilter`` may differ in
    its last digits.

    *A job that is killed* resumes when the call is repeated, and gives the same bytes. Scores are kept in
    ``out/.skprune`` until the job is done, unless the filter has a ``memory`` of its own; scores of a
    callable without a ``fingerprint`` are computed again. Each file written appears under its name when it is
    whole. A job that is done is not repeated: the same call returns its summary. Inputs are identified by
    name, size and time of modification.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune import PerplexityFilter
    >>> from skprune.files import prune
    >>> def length(texts):
    ...     return [len(text) for text in texts]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pool.txt").write_text("ccc\\na\\nbb\\ndddd\\n")
    ...     pruner = PerplexityFilter(keep=2, perplexity=length)
    ...     summary = prune(f"{folder}/pool.txt", pruner, out=f"{folder}/out")
    ...     summary.kept, summary.removed, Path(folder, "out", "pool.txt").read_text()
    (2, 2, 'a\\nbb\\n')
    """
    start = time.perf_counter()
    check_options(on_missing, n_train)
    check_filter(filter, "the files")
    if rethreshold is not None:
        check_filter(clone(scoring_filter(filter)).set_params(keep=rethreshold), "the files")
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = find_files(paths)
    folders = [
        _folder(name, path, paths, found) for name, path in (("out", out), ("removed", removed)) if path
    ]
    if len(folders) == 2 and (folders[0].is_relative_to(folders[1]) or folders[1].is_relative_to(folders[0])):
        raise ValueError(f"removed={str(removed)!r} and out={str(out)!r} must not lie within each other")
    files, column, known, seed = open_inputs(found, filter, text=text, id=id, label=label, labeled=labeled)
    _check_no_file_is_written_twice(files, removed is not None, explain_kept)
    settings = {
        "filter": plain_settings(filter),
        "files": {name: state_of(path) for name, path in found.items()},
        "text": column,
        "removed": removed is not None,
        "id": id,
        "label": label,
        "labeled": known.fingerprint,
        "on_missing": on_missing,
        "explain_kept": explain_kept,
        "n_train": n_train,
    } | ({} if rethreshold is None else {"rethreshold": rethreshold})
    with (
        Job(folders[0], folders[1] if removed else None, settings, seed) as job,
        job.explaining_a_full_disk(),
    ):
        markers = [job.marker(number) for number in range(len(files))]
        for file, marker in zip(files, markers, strict=True):  # what was removed since is written again
            job.forget_unless_written(marker, _written(file, removed is not None, explain_kept))
        if not all(marker.exists() for marker in markers):
            with Progress("checking", len(files), unit="file", verbose=verbose) as progress:
                for file, marker in zip(files, markers, strict=True):
                    if read_done(marker) is None:
                        file.check_rest()  # before texts are scored
                    progress.update()
            plan = Plan(files, filter, job, on_missing, id, n_train, verbose, known, rethreshold)
            with Progress("writing", len(files), unit="file", verbose=verbose) as progress:
                for file, marker, decided in zip(files, markers, plan.decisions(), strict=True):
                    if read_done(marker) is None:
                        job.write_state(
                            marker, _write(file, decided, job, removed is not None, explain_kept, id)
                        )
                    progress.update()
            for name, path in found.items():
                if state_of(path) != settings["files"][name]:
                    raise ValueError(f"{name} was changed while it was read; remove {out}, and prune again")
            _copy_hugging_face(files, folders)
        job.finish(keep_scores)
        done = [read_done(marker) or {} for marker in markers]
    reasons: Counter[str] = Counter()
    for part in done:
        reasons.update(part["reasons"])
    return PruneSummary(
        rows=sum(part["rows"] for part in done),
        kept=sum(part["kept"] for part in done),
        removed=sum(part["rows"] - part["kept"] for part in done),
        reasons=dict(reasons.most_common()),
        files=tuple(found),
        out=os.fspath(out),
        removed_to=None if removed is None else os.fspath(removed),
        seconds=time.perf_counter() - start,
    )


def _write(
    file: DataFile, decided: Decisions, job: Job, writes_removed: bool, explain_kept: bool, id: str | None
) -> dict[str, Any]:
    """Write the rows of one file, and return their numbers."""
    reasons: Counter[str] = Counter()
    n_rows = n_kept = 0
    schema = _added(decided.of(0, 0)[1], file, 0, id).schema
    with ExitStack() as stack:
        names = _written(file, writes_removed, explain_kept)
        # The outermost context renames the file, after the innermost one has closed it.
        path = stack.enter_context(job.replacing("out", names["out"]))
        kept_rows = stack.enter_context(file.writer(path, schema if explain_kept else None))
        if writes_removed:
            path = stack.enter_context(job.replacing("removed", names["removed"]))
            removed_rows = stack.enter_context(file.writer(path, schema))
        for batch in file.batches():
            kept, table = decided.of(n_rows, len(batch))
            added = _added(table, file, n_rows, id) if writes_removed or explain_kept else None
            rows = np.flatnonzero(kept)
            kept_rows.write(batch, rows, added.take(rows) if added is not None and explain_kept else None)
            if added is not None and writes_removed:
                rows = np.flatnonzero(~kept)
                removed_rows.write(batch, rows, added.take(rows))
            reasons.update(table["reason"].value_counts().to_dict())
            n_rows += len(batch)
            n_kept += int(kept.sum())
    return {"rows": n_rows, "kept": n_kept, "reasons": {str(k): int(v) for k, v in reasons.items()}}


def _written(file: DataFile, writes_removed: bool, explain_kept: bool) -> dict[str, str]:
    """Return the paths of what is written for one file, by the folder that holds it."""
    names = {"out": file.explained_name if explain_kept else file.name}
    return names | ({"removed": file.explained_name} if writes_removed else {})


def _check_no_file_is_written_twice(files: list[DataFile], writes_removed: bool, explain_kept: bool) -> None:
    """Refuse two files whose rows would go to the same path, or to a path below that of the other."""
    why = "lines of text go to JSON lines, because they get columns. Rename one of them, or prune them apart"
    sources: dict[tuple[str, str], str] = {}
    for file in files:
        for folder, name in _written(file, writes_removed, explain_kept).items():
            if (other := sources.setdefault((folder, name), file.name)) != file.name:
                raise ValueError(
                    f"{other} and {file.name} would both be written to {name} in {folder}: {why}"
                )
    for (folder, name), source in sources.items():
        for above in map(Path.as_posix, Path(name).parents):
            if (folder, above) in sources:
                raise ValueError(
                    f"{sources[folder, above]} would be written to {above} in {folder}, which is the folder "
                    f"of {source}: {why}"
                )


def _added(table: Any, file: DataFile, start: int, id: str | None) -> pa.Table:
    """Return the columns that explain the rows of a batch."""
    columns = {}
    for name in table.columns:
        values = table[name].to_numpy()
        kind = pa.string() if values.dtype == object else pa.int64() if name == "rank" else pa.float64()
        columns[name] = pa.array(values, kind)
    if id is None:
        columns["file"] = pa.array([file.name] * len(table), pa.string())
        columns["row"] = pa.array(np.arange(start, start + len(table)), pa.int64())
    return pa.table(list(columns.values()), names=names_added(list(columns), file.columns))


def _folder(
    name: str, path: str | os.PathLike[str], paths: list[str | os.PathLike[str]], found: dict[str, Path]
) -> Path:
    """Return the absolute path of an output folder, unless inputs are in it or would be searched there."""
    folder = Path(os.path.abspath(Path(path).expanduser()))
    name_of_first, first = next(iter(found.items()))
    inputs = first.parents[len(Path(name_of_first).parts) - 1]
    if folder == inputs or any(file.is_relative_to(folder) for file in found.values()):
        raise ValueError(f"{name}={os.fspath(path)!r} holds input files; choose another folder")
    if any(would_find(paths, folder / file) for file in found):
        raise ValueError(
            f"{name}={os.fspath(path)!r} lies where paths are searched for inputs, so that the same call "
            "would prune its own output later; choose a folder outside"
        )
    return folder


def _copy_hugging_face(files: list[DataFile], folders: list[Path]) -> None:
    """Write the metadata of a Hugging Face Dataset beside the data, without outdated entries."""
    inputs = {(file.path.parent, Path(file.name).parent) for file in files}
    inputs |= {(source.parent, target.parent) for source, target in inputs if target != Path()}
    for source, target in sorted(inputs):
        for name in HUGGING_FACE:
            if not (source / name).is_file():
                continue
            content = json.loads((source / name).read_text(encoding="utf-8"))
            if name == "dataset_info.json":
                for outdated in ("features", "splits", "dataset_size", "size_in_bytes", "download_checksums"):
                    content.pop(outdated, None)
            for folder in folders:
                (folder / target / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
