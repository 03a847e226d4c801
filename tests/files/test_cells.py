"""Labels and groups mean the same in every kind of file, though the cells of CSV have no types."""

import numpy as np
import pandas as pd
import pytest

from skprune import AnchorFilter, QuotaFilter, RandomFilter
from skprune.files import prune, read_labeled, score

WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "parquet": lambda frame, path: frame.to_parquet(path, index=False),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    words = rng.choice(["good", "bad", "ugly", "red"], 200)
    stars = np.where(np.arange(200) % 4, -1, np.arange(200) // 4 % 2)
    return pd.DataFrame(
        {
            "text": [f"{word} film {i}" for i, word in enumerate(words)],
            "stars": stars,
            "words": [{-1: None, 0: "bad", 1: "good"}[star] for star in stars],
            "part": np.arange(200) % 3,
        }
    )


def write(frame, folder, kinds):
    folder.mkdir()
    for number, kind in enumerate(kinds):
        rows = slice(number * len(frame) // len(kinds), (number + 1) * len(frame) // len(kinds))
        WRITERS[kind](frame[rows], folder / f"{number}.{kind}")
    return folder


MIXES = [["csv"], ["parquet", "csv"], ["csv", "parquet"], ["jsonl", "tsv", "csv"]]


@pytest.mark.parametrize("label", ["stars", "words"])
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_labels_mean_the_same(frame, kinds, label, tmp_path):
    anchors = AnchorFilter(n_neighbors=5, random_state=0)
    expected = score(write(frame, tmp_path / "typed", ["parquet"]), anchors, text="text", label=label)
    found = score(write(frame, tmp_path / "mixed", kinds), anchors, text="text", label=label)
    assert found["reason"].tolist() == expected["reason"].tolist()
    assert found["reason"].tolist().count("already labeled") == 50


@pytest.mark.parametrize("quotas", [{"min_per_group": {1: 15}}, {"balance": "equal"}], ids=str)
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_groups_mean_the_same(frame, kinds, quotas, tmp_path):
    quota = QuotaFilter(RandomFilter(0.1, random_state=0), groups="part", **quotas)
    expected = score(write(frame, tmp_path / "typed", ["parquet"]), quota, text="text")
    found = score(write(frame, tmp_path / "mixed", kinds), quota, text="text")
    for column in ("reason", "group"):
        assert found[column].tolist() == expected[column].tolist()


def test_groups_of_csv_may_be_named_by_text(frame, tmp_path):
    frame["part"] = [f"00{part}" for part in frame["part"]]  # a number would lose the zeros
    quota = QuotaFilter(RandomFilter(0.1, random_state=0), groups="part", min_per_group={"001": 15})
    found = score(write(frame, tmp_path / "pool", ["csv"]), quota, text="text")
    assert (found["group"][found["kept"]] == "001").sum() == 15


def test_numbers_here_and_words_there_are_refused_before_any_work(frame, tmp_path):
    pool = write(frame, tmp_path / "pool", ["parquet", "csv"])
    frame["stars"] = frame["stars"].map({-1: "", 0: "low", 1: "high"})
    WRITERS["csv"](frame, pool / "1.csv")
    with pytest.raises(ValueError, match=r"'stars' holds 0 in 0.parquet, but 'low' in 1.csv"):
        prune(pool, AnchorFilter(), text="text", label="stars", out=tmp_path / "out")


def test_ids_and_labels_that_are_whole_numbers_stay_exact(tmp_path):
    (tmp_path / "pool.csv").write_text(f"id,text,stars\n{2**60 + 1},a,\n{2**60 + 2},b,4\n")
    found = score(tmp_path / "pool.csv", RandomFilter(), text="text", id="id")
    assert found["id"].tolist() == [2**60 + 1, 2**60 + 2]
    assert read_labeled(tmp_path / "pool.csv", "text", "stars")["stars"].tolist() == [4]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_empty_file_has_no_labels(kind, tmp_path):
    (tmp_path / f"a.{kind}").write_text("")
    (tmp_path / "b.csv").write_text("1,body\n0,a\n1,b\n")
    found = read_labeled(tmp_path, "body", "1")
    assert found.to_dict("list") == {"body": ["a", "b"], "1": [0, 1]}
    (tmp_path / "b.csv").unlink()
    with pytest.raises(ValueError, match=f"no row of a.{kind} has a label in 'stars'"):
        read_labeled(tmp_path, None, "stars")
    pd.DataFrame({"body": ["a", "b"], "stars": [0, 1]}).to_parquet(tmp_path / "b.parquet")
    assert list(read_labeled(tmp_path, None, "stars")) == ["body", "stars"]
