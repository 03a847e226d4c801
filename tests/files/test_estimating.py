"""The estimate of a job counts its rows and LLM calls, and writes nothing."""

import json
import os
import time
from typing import ClassVar

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skprune import ActivePruneFilter, AskLLMFilter, DistilledScorer, KMeansFilter, RandomFilter
from skprune.exceptions import EmptyPoolError
from skprune.files import estimate, prune


class Judge:
    """Scores texts by length, and lists those it has seen, on the class: filters copy it."""

    fingerprint = "judge"
    seen: ClassVar = []

    def __call__(self, texts):
        self.seen.extend(texts)
        return [float(len(text)) for text in texts]


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("pool")
    for name, start in (("a", 0), ("b", 600)):
        texts = [f"the text of row {row}" + " word" * (row % 7) for row in range(start, start + 600)]
        with open(f"pool/{name}.jsonl", "w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in [*texts, None])
    Judge.seen.clear()
    return "pool"


def test_calls_are_those_of_the_job(pool):
    cases = [
        (AskLLMFilter(keep=0.1), 1200),
        (AskLLMFilter(keep=1200), 1200),
        (ActivePruneFilter(n_candidates=0.5, random_state=0), 600),
        (ActivePruneFilter(keep=100, n_candidates=240, llm_share=0.5, random_state=0), 240),
        (ActivePruneFilter(n_candidates=0.5, llm_budget=70, random_state=0), 70),
    ]
    for number, (filter, n_calls) in enumerate(cases):
        filter.set_params(quality=Judge())
        found = estimate(pool, filter)
        assert found.llm_calls == pytest.approx(n_calls, abs=8)
        assert (found.rows, found.missing, found.probed) == (1200, 2, 256)
        assert len(Judge.seen) <= 256
        Judge.seen.clear()
        prune(pool, filter, out=f"out{number}", on_missing="drop")
        assert len(Judge.seen) == n_calls
        Judge.seen.clear()


def test_seconds_follow_from_the_time_of_a_row(pool):
    class Slow(Judge):
        fingerprint = "slow"

        def __call__(self, texts):
            time.sleep(0.002 * len(texts))
            return super().__call__(texts)

    found = estimate(pool, AskLLMFilter(quality=Slow()), n_probe=100)
    assert 1200 * 0.002 < found.seconds < 3 * 1200 * 0.002


def test_nothing_is_written(pool, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    estimate(pool, AskLLMFilter(quality=Judge(), memory="scores"))
    assert sorted(tmp_path.rglob("*")) == before


def test_the_sample_covers_all_files(pool):
    estimate(pool, AskLLMFilter(quality=Judge()))
    rows = [int(text.split()[4]) for text in Judge.seen]
    assert len(set(rows)) == 256
    assert abs(np.mean(rows) - 600) < 4 * 346 / 16  # four standard errors of a mean of uniform numbers


def test_bad_input(pool, tmp_path):
    with pytest.raises(TypeError, match="needs the pool in memory"):
        estimate(pool, KMeansFilter())
    with pytest.raises(ValueError, match="n_probe must be at least 2"):
        estimate(pool, RandomFilter(), n_probe=1)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(EmptyPoolError):
        estimate("empty.txt", RandomFilter())
    (tmp_path / "one.txt").write_text("a\n")
    assert estimate("one.txt", RandomFilter(keep=1)).rows == 1


class Teacher(Judge):
    """Judges some texts for a student."""

    fingerprint = "teacher"


@pytest.mark.parametrize(("n_calls", "expected"), [(200, 200), (0.05, 60), (0.001, 20)])
@pytest.mark.parametrize(
    "make", [AskLLMFilter, lambda quality: ActivePruneFilter(quality=quality, llm_budget=30, random_state=0)]
)
def test_the_calls_of_a_distilled_scorer_are_those_of_its_teacher(pool, tmp_path, make, n_calls, expected):
    filter = make(quality=DistilledScorer(Teacher(), n_calls=n_calls, min_recall=0, memory="scores"))
    assert estimate(pool, filter).llm_calls == expected
    assert len(Judge.seen) <= 60  # not as many as the job itself
    assert estimate(pool, filter).llm_calls == expected  # whatever the process remembers
    assert not (tmp_path / "scores").exists()
    Judge.seen.clear()
    prune(pool, filter, out="out", on_missing="drop")
    assert len(Judge.seen) == expected


def test_a_fitted_distilled_scorer_asks_nobody(pool):
    texts = [f"the text of row {row}" for row in range(50)]
    scorer = FrozenEstimator(DistilledScorer(Teacher(), n_calls=30, min_recall=0).fit(texts))
    Judge.seen.clear()
    filter = AskLLMFilter(quality=scorer, random_state=0)
    assert estimate(pool, filter).llm_calls == filter.fit(texts).n_llm_calls_ == len(Judge.seen) == 0
