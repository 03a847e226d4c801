"""The configurations of the papers' own data: all parse, and loops run on a stand-in that needs no hub."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from skprune import ActivePruneFilter, NGramScorer, QualityScorer
from tests.tiny_models import save_tiny_gpt2, save_tiny_t5

EXPERIMENTS = Path(__file__).parents[2] / "examples" / "experiments"
CONFIGS = sorted(path.stem for path in EXPERIMENTS.glob("papers/*.toml"))


@pytest.fixture
def paper() -> ModuleType:
    return importlib.import_module("paper")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A data set as ``datasets`` saves it: 120 and 60 texts, a fifth of them of class 2."""
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)

    def part(n: int) -> object:
        labels = rng.integers(5, size=n).tolist()
        texts = [f"text {i} about {'money' if label == 2 else 'sports'}" for i, label in enumerate(labels)]
        return datasets.Dataset.from_dict(
            {"text": texts, "label": labels, "all_labels": [[label, 7] for label in labels], "summary": texts}
        )

    datasets.DatasetDict({"train": part(120), "test": part(60)}).save_to_disk(tmp_path / "hub")
    return tmp_path / "hub"


@pytest.mark.parametrize("name", CONFIGS)
def test_each_configuration_names_real_classes_and_parameters(paper: ModuleType, name: str) -> None:
    config = paper.read(name)
    for filter, strategy in ((f, s) for f in config["filters"] for s in config["strategies"]):
        loop = paper.make_simulator(config, filter, strategy, n_pool=25_000, seed=0)
        assert loop.n_instances == (25 if "AnchorAL" in config["source"] else 250)
        assert (loop.filter is None) == (filter == "none")
    if "ActivePrune" in config["source"]:
        pruner = paper.build(config["filters"]["ActivePrune"])
        assert isinstance(pruner, ActivePruneFilter)
        assert isinstance(pruner.quality, QualityScorer)
        assert isinstance(pruner.perplexity, NGramScorer)
        assert (pruner.keep, pruner.beta, pruner.quality.model) == (0.25, 0.1, "google/gemma-2b")
    else:
        assert loop.n_initial + loop.n_rounds * loop.n_instances == loop.label_budget


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("filters.AnchorAL.n_anchor=3", "AnchorFilter has no parameters .'n_anchor'"),
        ("filters.AnchorAL.n_anchors=0", "n_anchors"),
        ('estimator.class="RobertaClassifier"', "no public class 'RobertaClassifier'"),
        ('data.column="text"', "Unknown key of .data.: .'column'"),
        ("loop.n_round=3", "n_round"),
    ],
)
def test_mistakes_are_found_before_anything_is_downloaded(paper, change: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        paper.read("anchoral_agnews_business", [change])


def test_rare_classes_are_named_drawn_down_and_labeled_at_first(paper: ModuleType, hub: Path) -> None:
    rare = {"business": [2]}
    data = {"name": str(hub), "text": "text", "target": "label", "rare": rare}
    whole, _ = paper.load(data, seed=0)
    n_others = int(np.sum(whole.target == "others"))
    pool, test = paper.load(data | {"rare_share": 0.1, "test_others": 10}, seed=0)
    assert np.sum(pool.target == "business") == round(n_others / 9)
    assert np.sum(pool.target == "others") == n_others
    assert np.sum(test.target == "others") == 10
    assert all(("money" in text) == (y == "business") for text, y in zip(pool.data, pool.target, strict=True))
    assert paper.load(data | {"rare_share": 0.1}, seed=0)[0].data == pool.data
    assert paper.load(data | {"rare_share": 0.1}, seed=1)[0].data != pool.data
    several, _ = paper.load(data | {"target": "all_labels"}, seed=0)
    assert several.target.tolist() == whole.target.tolist()
    config = {"loop": {"n_initial": 20, "n_initial_rare": 5}, "data": {"rare": rare}}
    first = paper.first_labels(config, whole.target, seed=0)["initial"]
    assert len(set(first)) == 20
    assert np.sum(whole.target[first] == "business") == 5


def test_a_missing_column_is_named_with_those_that_exist(paper: ModuleType, hub: Path) -> None:
    with pytest.raises(ValueError, match=r"no columns \['body'\], but \['text', 'label'"):
        paper.load({"name": str(hub), "text": "body", "target": "label"}, seed=0)


SMALL = ["seeds=2", "loop.n_rounds=1", "estimator.max_epochs=1", "estimator.batch_size=64"]


@pytest.mark.slow
def test_anchoral_plays_and_continues_on_a_stand_in(paper, hub: Path, tmp_path: Path, capsys) -> None:
    model = save_tiny_gpt2(tmp_path / "gpt2")
    changes = [
        *SMALL,
        f'data.name="{hub}"',
        "data.rare_share=0.15",
        f'estimator.model="{model}"',
        "estimator.max_length=16",
        "estimator.min_steps=1",
        "loop.n_initial=20",
        "loop.n_instances=5",
        "filters.RandSub.keep=30",
        "filters.AnchorAL.encoder={}",
    ]
    command = ["anchoral_agnews_business", "--filters", "RandSub", "AnchorAL", "--out", str(tmp_path / "out")]
    paper.main([*command, "--set", *changes])
    first = capsys.readouterr().out
    kept = (tmp_path / "out" / "runs.jsonl").read_text()
    assert "Mean score against RandSub" in first
    assert len(kept.splitlines()) == 2 * 3 * 2
    paper.main([*command, "--set", *changes])
    assert capsys.readouterr().out == first
    assert (tmp_path / "out" / "runs.jsonl").read_text() == kept


@pytest.mark.slow
def test_activeprune_summarizes_with_a_stand_in(paper, hub: Path, tmp_path: Path, capsys) -> None:
    changes = [
        *SMALL,
        "seeds=1",
        f'data={{name="{hub}", text="text", target="summary"}}',
        f'estimator.model="{save_tiny_t5(tmp_path / "t5")}"',
        "estimator.max_target_length=4",
        "estimator.num_beams=1",
        "loop.n_instances=0.05",
        "loop.n_initial=0.05",
        "filters.ActivePrune.perplexity={}",
        'filters.ActivePrune.quality={class="InformationEntropy"}',  # a tiny model has no token for "yes"
        'strategies={NSP={class="NSP"}}',
    ]
    out = str(tmp_path / "out")
    paper.main(["activeprune_aeslc", "--filters", "none", "ActivePrune", "--out", out, "--set", *changes])
    assert "| NSP | ActivePrune | 12.000 (12.000 to 12.000) |" in capsys.readouterr().out


def test_check_stops_before_the_data(paper: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for name in CONFIGS:
        paper.main([name, "--check"])
    source = tomllib.loads((EXPERIMENTS / "papers" / f"{CONFIGS[0]}.toml").read_text())["source"]
    assert capsys.readouterr().out.startswith(f"{source}: 12 loops per seed, 3 seeds")
