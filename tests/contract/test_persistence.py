"""Saving and loading every filter and composite with pickle, joblib and skops."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    DistilledScorer,
    EntropyIntervalFilter,
    FilterChain,
    FilterUnion,
    KMeansFilter,
    PerplexityFilter,
    PlausibilityFilter,
    ProxyFilter,
    PrunedClassifier,
    PrunedEstimator,
    PrunedQuery,
    PruneSampler,
    QuotaFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.strategies import Entropy, Margin
from skprune.streams import seed_open_states

TEXTS = [f"the {color} {animal} sees {'the ' * (i % 4)}n{i}"
         for i in range(6) for color in ("red", "old", "blue")
         for animal in ("fox", "dog", "cat", "hen")]  # fmt: skip
DIGITS, CLASSES = load_digits(return_X_y=True)
VECTORS, LABELS = DIGITS[:72], CLASSES[:72] % 2


class Length:
    """A scorer defined by the user."""

    fingerprint = "length 1"

    def __call__(self, texts):
        return np.array([float(len(text)) for text in texts])


FILTERS = {
    "random": (RandomFilter(), TEXTS),
    "k-means": (KMeansFilter(), TEXTS),
    "k-means of vectors": (KMeansFilter(), VECTORS),
    "anchor": (AnchorFilter(2, 5), TEXTS),
    "anchor of vectors": (AnchorFilter(2, 5), VECTORS),
    "anchor, HNSW": (AnchorFilter(2, 5, index="hnsw"), VECTORS),
    "SEALS": (SEALSFilter(4), TEXTS),
    "UPS": (UPSFilter(), VECTORS),
    "proxy": (ProxyFilter(0.25), TEXTS),
    "proxy of vectors": (ProxyFilter(0.25), VECTORS),
    "perplexity": (PerplexityFilter(), TEXTS),
    "ask LLM": (AskLLMFilter(quality=Length()), TEXTS),
    "ask LLM, distilled": (
        AskLLMFilter(quality=DistilledScorer(Length(), n_calls=20, min_recall=0)),
        TEXTS,
    ),
    "active prune": (ActivePruneFilter(quality=Length()), TEXTS),
    "entropy interval": (EntropyIntervalFilter(combine="igse"), TEXTS),
    "entropy interval, search": (EntropyIntervalFilter(interval="search", cv=2), TEXTS),
    "plausibility": (PlausibilityFilter(), VECTORS),
    "quota": (QuotaFilter(SEALSFilter(20), groups=len, min_per_group=1), TEXTS),
    "chain": (FilterChain([("few", RandomFilter(0.8)), ("UPS", UPSFilter())]), VECTORS),
    "chain in union": (
        FilterUnion(
            [
                ("near", FilterChain([("near", SEALSFilter(20)), ("good", AskLLMFilter(quality=Length()))])),
                ("any", RandomFilter()),
            ]
        ),
        TEXTS,
    ),
    "semi prune": (SemiPruneFilter(ssl=SelfTrainingClassifier(GaussianNB()), n_epochs=2), VECTORS),
}


def by_pickle(thing, path):
    path.write_bytes(pickle.dumps(thing))
    return pickle.loads(path.read_bytes())


def by_joblib(thing, path):
    joblib.dump(thing, path)
    return joblib.load(path)


def by_skops(thing, path):
    io = pytest.importorskip("skops.io")
    io.dump(thing, path)
    return io.load(path, trusted=io.get_untrusted_types(file=path))


ways = pytest.mark.parametrize("save_and_load", [by_pickle, by_joblib, by_skops])


@ways
@pytest.mark.parametrize("name", FILTERS)
def test_a_loaded_filter_continues_in_the_same_way(name, save_and_load, tmp_path):
    pruner, X = FILTERS[name]
    known = np.arange(0, 72, 7)
    y = np.full(72, -1)
    y[known] = LABELS[known]
    pruner = clone(pruner)
    seed_open_states(pruner, lambda: 0)
    if "memory" in pruner.get_params():
        pruner.set_params(memory=str(tmp_path / "memory"))
    pruner.fit(X, y)
    again = save_and_load(pruner, tmp_path / "saved")
    for one in (pruner, again):
        one.partial_fit(X[1:4], LABELS[1:4])
    with_unseen = [*X, "no such text"] if X is TEXTS else np.vstack([X, X[:1] + 1.0])
    assert again.select(with_unseen).tolist() == pruner.select(with_unseen).tolist()
    assert (again.explain()["kept"] == pruner.explain()["kept"]).all()
    assert not hasattr(clone(again), "pool_")


ANCHORS, HALF = AnchorFilter(2, 5, random_state=0), RandomFilter(keep=0.5, random_state=0)
COMPOSITES = {
    "around a pipeline": (
        PrunedClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), ANCHORS),
        TEXTS,
    ),
    "classifier": (PrunedClassifier(LogisticRegression(), SEALSFilter(4, random_state=0)), VECTORS),
    "estimator": (PrunedEstimator(Ridge(), HALF), VECTORS),
    "last step": (make_pipeline(StandardScaler(), PrunedClassifier(GaussianNB(), HALF)), VECTORS),
    "step": (make_imblearn_pipeline(PruneSampler(ANCHORS), TfidfVectorizer(), LogisticRegression()), TEXTS),
    "simulator": (
        ActiveLearningSimulator(GaussianNB(), Entropy(), ANCHORS, n_instances=5, n_rounds=2, random_state=0),
        VECTORS,
    ),
}


@ways
@pytest.mark.parametrize("name", COMPOSITES)
def test_a_loaded_composite_makes_the_same_predictions(name, save_and_load, tmp_path):
    model, X = COMPOSITES[name]
    model = clone(model).fit(X, LABELS)
    again = save_and_load(model, tmp_path / "saved")
    assert np.array_equal(again.predict(X), model.predict(X))
    for fresh in (clone(again), clone(model)):
        with pytest.raises(NotFittedError):
            fresh.predict(X)
    assert np.array_equal(clone(again).fit(X, LABELS).predict(X), model.predict(X))


@ways
def test_a_loaded_query_picks_the_same_rows(save_and_load, tmp_path):
    query = PrunedQuery(ANCHORS, Margin(random_state=0)).fit(VECTORS).tell(VECTORS[:9], LABELS[:9])
    model = GaussianNB().fit(VECTORS[:9], LABELS[:9])
    again = save_and_load(query, tmp_path / "saved")
    for one in (query, again):
        one.tell(VECTORS[9:12], LABELS[9:12])
    picks = [one(model, VECTORS, n_instances=4)[0].tolist() for one in (again, query)]
    assert picks[0] == picks[1]
    assert not hasattr(clone(again), "filter_")


def test_skops_needs_to_trust_skprune_only(tmp_path):
    io = pytest.importorskip("skops.io")
    model = PrunedClassifier(COMPOSITES["step"][0][1:], ActivePruneFilter(quality=None)).fit(TEXTS, LABELS)
    io.dump(model, tmp_path / "saved")
    untrusted = io.get_untrusted_types(file=tmp_path / "saved")
    assert {name.partition(".")[0] for name in untrusted} <= {"skprune", "imblearn"}


def test_a_loaded_filter_uses_its_memory_in_another_process(tmp_path):
    """The scores come from the folder. The n-gram model comes with the filter: its temporary file is gone."""
    pruner = ActivePruneFilter(quality=None, memory=str(tmp_path / "memory"), random_state=0).fit(TEXTS)
    joblib.dump(pruner, tmp_path / "saved")
    script = (
        "import joblib, sys\n"
        "pruner = joblib.load(sys.argv[1])\n"
        "print(pruner.select([*pruner.pool_.data, 'a red hen is new']).tolist(), pruner._score.n_computed)\n"
    )
    kept = pruner.select([*TEXTS, "a red hen is new"]).tolist()
    command = [sys.executable, "-c", script, tmp_path / "saved"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{kept} {len(set(TEXTS))}", "no text may be computed again"
