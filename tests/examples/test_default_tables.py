"""The experiments that choose defaults: comparisons, baselines, and the parts that only they have."""

from __future__ import annotations

from importlib import import_module as load
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.utils import Bunch

from skprune import AnchorFilter


def test_a_family_is_adjusted_together_and_each_row_has_its_own_interval() -> None:
    rng = np.random.default_rng(0)
    family = {("a", 1): pd.Series(rng.normal(3, 1, 8)), ("b", 2): pd.Series([0.1, -0.1, 0.3, -0.2] * 2)}
    table = load("_pages").compared(family, ["name", "size"], negligible=1.0)
    p = [stats.ttest_1samp(values, 0).pvalue for values in family.values()]
    assert table["p, Holm"].iloc[1] == f"{max(p[1], 2 * min(p)):.3f}"
    assert table["verdict"].tolist() == ["established", "excluded beyond ± 1 points"]
    assert table[["name", "size", "seeds"]].to_numpy().tolist() == [["a", 1, 8], ["b", 2, 8]]
    low, high = stats.ttest_1samp(family["a", 1], 0).confidence_interval()
    assert table["difference"].iloc[0] == f"{(low + high) / 2:+.1f} ± {(high - low) / 2:.1f}"


def test_verdicts_are_counted_with_gains_apart_from_losses() -> None:
    ones = pd.Series([1.0, 1.1, 0.9, 1.0])
    nothing, anything = pd.Series([0.1, -0.1, 0.1, -0.1]), pd.Series([9.0, -9.0, 9.0, -9.0])
    family = {("a",): ones, ("b",): -ones, ("c",): ones + 1, ("d",): nothing, ("e",): anything}
    pages = load("_pages")
    table = pages.compared(family, ["name"], negligible=1.0)
    assert pages.count_verdicts(table) == (
        "a gain is established in 2, a loss is established in 1, excluded beyond ± 1 points in 1, "
        "not established in 1 of 5 cells"
    )
    assert pages.paragraphs("* " + "word " * 40)[0].splitlines()[1].startswith("  word")


def test_fixmatch_and_a_convolutional_proxy_choose_images(monkeypatch, tmp_path) -> None:
    pytest.importorskip("skorch")
    semiprune = load("semiprune")
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    X = (rng.random((240, 8, 8)) + y[:, None, None] * np.eye(8)).astype(np.float32)
    split = load("_pools").Split(X[:160], y[:160], X[160:], y[160:])
    small = {"n_epochs": 10}
    setups = {name: options | small for name, options in semiprune.SETUPS.items()}
    setups["FixMatch, conv"]["ssl"] = semiprune.FixMatchClassifier("conv", max_epochs=1, min_steps=3)
    monkeypatch.setattr(semiprune, "SETUPS", setups)
    monkeypatch.setattr(semiprune, "images_of", lambda data, seed: split)
    monkeypatch.setattr(semiprune, "K_MEANS_ON", ())
    runs = load("_runs").Runs(tmp_path / "runs.jsonl")
    table = pd.DataFrame(semiprune.play("images", 0, Bunch(steps=5, memory=tmp_path), runs, {}))
    assert len(table) == 1 + 2 + 3 * 2 * 2
    assert table.loc[table["keep"].eq(0.3), "trained on"].eq(48).all()
    assert table.loc[table["labels"].gt(0), "right"].between(0, 100).all()
    assert set(table["method"]) == {"all rows", "random", *semiprune.on_images("images")}


def test_each_data_set_has_its_number_of_seeds_unless_the_command_line_names_one(
    monkeypatch, tmp_path
) -> None:
    semiprune = load("semiprune")
    monkeypatch.setattr(
        semiprune, "play", lambda data, seed, *_: [{"data": data, "seed": seed, "origin": ""}]
    )

    def seeds(*options: str) -> dict[str, int]:
        args = semiprune.parse(["--out", str(tmp_path), *options])
        return semiprune.run_all(args).groupby("data")["seed"].nunique().to_dict()

    assert seeds() == semiprune.SEEDS
    assert seeds("--data", "news", "--seeds", "2") == {"news": 2}


@pytest.mark.parametrize(
    "data", [["fashion-60k"], ["images"], ["fashion-60k", "debian", "images", "images-60k"]]
)
def test_the_page_about_few_labels_is_the_same_from_its_csv(tmp_path, data: list[str]) -> None:
    semiprune = load("semiprune")
    rng = np.random.default_rng(0)
    columns = ("accuracy", "macro F1", "trained on", "right", "right among kept")
    rows = [
        {"data": name, "seed": seed, "method": method, "labels": labels, "keep": keep}
        | dict(zip(columns, rng.random(5), strict=True))
        for name in data
        for seed in range(3)
        for method, labels, keep in semiprune.cells(name)
    ]
    args = semiprune.parse(["--out", str(tmp_path), "--data", *data])
    runs = pd.DataFrame(rows).round(4).assign(origin="commit 1, now, here")
    page = semiprune.page(runs, args)
    load("_pages").publish("semiprune", args, runs, page)
    args.tables = tmp_path / "semiprune.csv"
    assert semiprune.page(load("_pages").runs_or_tables(args, semiprune.run_all), args) == page
    assert ("were not run" in page) == ("images" not in data)
    assert ("k-means" in page) == ("debian" in data)
    assert all(f"3 on {name}" in page for name in data)


def test_random_rows_by_class_keep_the_class_shares_and_differ_between_seeds() -> None:
    euds = load("euds")
    args = Bunch(pool_size=200, test_size=50)
    texts = np.array([f"text {i}" for i in range(300)], dtype=object)
    corpus = Bunch(texts=texts, y=np.repeat([0, 1, 2], [180, 90, 30]), args=args)
    splits = [euds.Split(corpus, seed) for seed in (0, 1)]
    for split in splits:
        whole = np.bincount(split.y)
        draws = split.rows("random by class", 0.5)
        assert len(draws) == euds.N_RANDOM
        for rows in draws:
            assert len(set(rows)) == 100
            assert np.abs(np.bincount(split.y[rows], minlength=3) - whole / 2).max() <= 1
            assert split.describe(rows)["class shift"] <= 1
        assert split.rows("random by class", 0.5)[0].tolist() == draws[0].tolist()
    assert splits[0].pool.tolist() != splits[1].pool.tolist()
    assert not set(splits[0].pool) & set(splits[0].test)


def test_each_method_is_compared_with_the_random_rows_of_its_seed_and_size() -> None:
    rows = [
        {"data": "d", "labels": labels, "keep": 0.1, "seed": seed, "method": method, "accuracy": value}
        for labels, seed, method, value in [
            (1.0, 0, "random", 50.0),
            (1.0, 1, "random", 60.0),
            (1.0, 0, "default", 53.0),
            (1.0, 1, "default", 61.0),
            (0.05, 1, "default", 59.0),
            (1.0, 0, "all rows", 70.0),
        ]
    ]
    gains = load("semiprune_defaults").gains(pd.DataFrame(rows), "accuracy")
    assert gains["gain"].tolist() == [3.0, 1.0, -1.0]


def test_methods_of_the_test_are_among_those_that_were_tuned() -> None:
    experiment = load("semiprune_defaults")
    assert set(experiment.ON_TEST) | set(experiment.WITH_FEW) <= set(experiment.METHODS)
    assert not set(experiment.TUNING) & set(experiment.TEST)
    assert experiment.parse([]).tuning_seeds <= experiment.FIRST_TEST_SEED


def test_k_means_plus_plus_draws_distant_rows() -> None:
    strategy = load("first_labels").KMeansPlusPlus
    X = np.repeat(np.eye(4) * 10, 5, axis=0) + np.random.default_rng(0).normal(0, 1e-3, (20, 4))
    for seed in range(5):
        picked = strategy(random_state=seed)(None, X, n_instances=4)[0]
        assert sorted(picked // 5) == [0, 1, 2, 3], "one row of each of four distant groups"
        learner = Bunch(X_training=X[:10])
        assert set(strategy(random_state=seed)(learner, X, n_instances=2)[0] // 5) == {2, 3}


def test_typiclust_gives_way_to_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = load("first_labels")
    X = np.random.default_rng(0).normal(size=(40, 3))
    learner = Bunch(
        X_training=X[: experiment.SWITCH - 1],
        predict_proba=lambda rows: np.column_stack([rows[:, 0] > 0, rows[:, 0] <= 0]).astype(float),
    )
    strategy = experiment.TypiClustThenEntropy(random_state=0)
    monkeypatch.setattr(experiment, "SWITCH", 10)
    certain = strategy(learner, X, n_instances=5)[1]
    assert (certain == 0).all(), "entropies of a learner that is always sure"
    monkeypatch.setattr(experiment, "SWITCH", 100)
    assert (strategy(learner, X, n_instances=5)[1] > 0).all(), "typicalities"


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_random_rows_replace_the_least_similar_ones(share: float) -> None:
    X = np.random.default_rng(0).normal(size=(300, 6))
    y = np.full(300, -1)
    y[:6] = [0, 1] * 3
    plain = AnchorFilter(3, 10).set_params(random_state=0).fit(X, y).select(X)
    pruner = load("anchor_random_share").WithRandomRows(3, 10, random_share=share, random_state=0)
    mixed = pruner.fit(X, y).select(X)
    n_near = round((1 - share) * len(plain))
    assert len(mixed) == len(set(mixed)) == len(plain)
    assert mixed[:n_near].tolist() == plain[:n_near].tolist()
    assert (share < 1) or len(set(mixed) & set(plain)) < len(plain) / 2
    assert pruner.select(X).tolist() == mixed.tolist()


@pytest.mark.parametrize("grouped", [False, True])
def test_each_seed_draws_a_pool_and_a_test_set_without_common_rows(monkeypatch, grouped) -> None:
    pools = load("_pools")
    n = 120
    bunch = Bunch(data=[""] * n, target=np.arange(n) % 3, vectors=np.arange(n)[:, None])
    if grouped:
        bunch.groups = np.arange(n) // 2
    monkeypatch.setattr(pools, "_encoded", lambda name, memory: bunch)
    monkeypatch.setitem(pools.SETS, "small", (lambda: bunch, 60, 30))
    pools.split_of.cache_clear()
    splits = [pools.split_of("small", seed, Path("unused"), None) for seed in (0, 1)]
    pools.split_of.cache_clear()
    for split in splits:
        assert len(split.X) == 60
        assert len(split.X_test) <= 30
        assert not set(split.X.ravel()) & set(split.X_test.ravel())
        assert (split.y == split.X.ravel() % 3).all()
        assert (split.y_test == split.X_test.ravel() % 3).all()
        if grouped:
            assert not set(split.X.ravel() // 2) & set(split.X_test.ravel() // 2)
    assert set(splits[0].X.ravel()) != set(splits[1].X.ravel())


def test_a_verdict_stays_beyond_the_collection_if_the_corrected_test_agrees() -> None:
    pages = load("_pages")
    rng = np.random.default_rng(0)
    effects = {"large": 3.0, "small": 0.3, "none": 0.0, "unclear": 0.0}
    spreads = {"large": 0.5, "small": 0.5, "none": 0.3, "unclear": 5.0}
    differences = {
        (data, name): pd.Series(effects[name] + spreads[name] * stats.zscore(rng.normal(size=20), ddof=1))
        for data in ("movies", "far")
        for name in effects
    }
    shares = {"movies": 0.5, "far": 0.001}
    table = pages.compared(differences, ["data", "name"], 1.0, shares).set_index(["data", "name"])
    assert table.loc["movies", pages.BEYOND].tolist() == ["yes", "no", "yes", ""]
    assert table.loc["far", pages.BEYOND].tolist() == ["yes", "yes", "yes", ""]
    assert pages.BEYOND not in pages.compared(differences, ["data", "name"], 1.0)
    assert "in 2 (2 beyond), excluded beyond ± 1 points in 4 (3 beyond)" in pages.count_verdicts(
        table.reset_index()
    )


def test_origins_of_one_day_and_machine_stand_together() -> None:
    pages = load("_pages")
    made = ["commit a1, Monday, here", None, "commit b2, Monday, here", "commit c3, Friday, there"]
    runs = pd.DataFrame({"origin": made})
    assert pages.origins(runs) == "commits a1, b2, Monday, here; commit c3, Friday, there"
    again = pages.said_once(pd.DataFrame({"origin": ["x", "x", "y", "x"]}))
    assert again["origin"].fillna("").tolist() == ["x", "", "y", ""]
