"""The page is whole, safe and readable by machines, and its figures are those of the filter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import skprune.reporting
from skprune import ActivePruneFilter, KMeansFilter, PerplexityFilter, RandomFilter, report
from skprune.pools import Pool
from skprune.reporting.copies import near_copies
from tests.contract.test_contract import FILTERS, TEXTS, quality_of

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)> & 'quotes' {{ 7 * 7 }}"


class Page(HTMLParser):
    """Reads a page: balanced tags, ids, references, headings and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.references, self.tags, self.headings = [], [], [], [], []
        self.words = ""
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag not in {"meta"}:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        for name in ("href", "xlink:href", "clip-path", "aria-labelledby"):
            if value := given.get(name):
                self.references.append(value.removeprefix("url(").removesuffix(")").lstrip("#"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag != "meta":
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


@pytest.fixture
def attacked():
    texts = [*TEXTS, ATTACK, ATTACK, "שלום עולם", "a\x00b\x1bc", " "]
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(texts, [0] * 10 + [-1] * (len(texts) - 10))
    return texts, pruner


def test_figures_are_those_of_explain(attacked):
    texts, pruner = attacked
    figures = report(pruner).figures
    explained = pruner.explain()
    n_kept = int(explained["kept"].sum())
    assert figures["summary"] == {
        "rows": len(texts),
        "kept": n_kept,
        "removed": len(texts) - 10 - n_kept,
        "labeled": 10,
        "round": 0,
    }
    by_reason = explained["reason"].value_counts()
    assert {row["reason"]: row["rows"] for row in figures["reasons"]} == by_reason[by_reason > 0].to_dict()
    scores = explained.loc[explained["kept"], "log10_perplexity"]
    found = figures["scores"]["scores"]["log10_perplexity"]["kept"]
    assert found["quantiles"] == pytest.approx(np.quantile(scores, [0, 0.25, 0.5, 0.75, 1]))
    assert figures["scores"]["threshold"] == scores.max()
    assert figures["copies"]["n_copies"] == 1


@pytest.mark.filterwarnings("ignore:.* entropy is concentrated")
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_has_a_page(name):
    pruner = FILTERS[name].__sklearn_clone__().fit(TEXTS, [0, 1] * 10 + [-1] * (len(TEXTS) - 20))
    made = report(pruner, groups={"color": [text.split()[1] for text in TEXTS]})
    page = Page(made.html)
    assert type(pruner).__name__ in page.words
    assert made.figures["summary"]["kept"] == pruner.get_support().sum()


def test_every_reference_on_the_page_resolves_and_no_id_occurs_twice(attacked):
    texts, _ = attacked
    pruner = ActivePruneFilter(keep=0.25, quality=quality_of, n_candidates=0.5, random_state=0).fit(texts)
    page = Page(report(pruner).html)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.references) <= set(page.ids)
    assert sum(tag == "svg" for tag, _ in page.tags) == 2


def test_texts_cannot_act_as_markup(attacked):
    texts, pruner = attacked
    evil = {ATTACK: [ATTACK if i % 2 else "</td>$x$" for i in range(len(texts))]}
    made = report(pruner, groups=evil, n_examples=14)
    page = Page(made.html)
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert ATTACK in page.words
    assert "\x00" not in made.html
    assert "\x1b" not in made.html


def test_the_page_loads_nothing(attacked):
    _, pruner = attacked
    html = report(pruner).html
    page = Page(html)
    for _tag, attributes in page.tags:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("xlink:href", "#").startswith("#")
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "default-src 'none'" in html


def test_screen_readers_find_their_way(attacked):
    _, pruner = attacked
    page = Page(report(pruner, groups={"half": np.arange(len(pruner.pool_)) % 2}).html)
    tags = [tag for tag, _ in page.tags]
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert max(np.diff(page.headings)) <= 1
    assert {"header", "nav", "main", "footer", "title"} <= set(tags)
    assert tags.count("caption") == tags.count("table")
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    images = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert images
    assert all(len(image["aria-label"]) > 20 for image in images)
    quotes = [attributes for tag, attributes in page.tags if tag == "blockquote"]
    assert all(attributes == {"dir": "auto"} for attributes in quotes)


def test_a_sensitive_report_has_no_text_of_the_pool():
    texts = [f"secret{i} word{i % 7} again and again" for i in range(60)] + [
        "secret0 word0 again and again"
    ] * 3
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(texts)
    open_page = report(pruner)
    assert "secret" in open_page.html
    made = report(pruner, sensitive=True)
    written = made.html + json.dumps(made.figures)
    assert not re.search(r"secret\d|word\d|again", written)
    assert "examples" not in made.figures
    assert made.figures["copies"]["n_copies"] == 3


def test_at_most_a_hundred_texts_are_shown_and_long_ones_are_cut():
    texts = [f"{i} " + "long " * 200 for i in range(300)] + [
        f"near copy of a text, number {i // 2}{'.' * (i % 2)}" for i in range(200)
    ]
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(texts + texts[:50])
    html = report(pruner, n_examples=14).html
    shown = re.findall(r"<blockquote[^>]*>(.*?)</blockquote>", html, re.DOTALL)
    assert 50 < len(shown) <= 100
    assert max(map(len, shown)) == 301
    with pytest.raises(ValueError, match="n_examples == 15"):
        report(pruner, n_examples=15)


def test_established_differences_come_first():
    texts = [f"the cat number {i} sat on the mat" for i in range(100)]
    texts += [f"zq{i} xv{i} kk{i} jj{i}" for i in range(100)]
    pruner = PerplexityFilter(keep=0.5, random_state=0).fit(texts)
    made = report(pruner, groups=pd.DataFrame({"kind": ["plain"] * 100 + ["odd"] * 100}))
    sections = re.findall(r'<section id="(\w+)"', made.html)
    assert sections[0] == "groups"
    odd = next(row for row in made.figures["groups"] if row["group"] == "odd")
    assert odd["flagged"]
    assert odd["p_holm"] < 1e-10
    # Without a finding, the section comes after those that have one.
    alike = report(pruner, groups={"turn": np.arange(200) % 2})
    assert re.findall(r'<section id="(\w+)"', alike.html)[0] == "reasons"


def test_examples_near_the_threshold_are_the_nearest_rows():
    scores = {f"text {i}": float(i) for i in range(40)}
    pruner = PerplexityFilter(keep=10, perplexity=lambda texts: [scores[t] for t in texts]).fit(list(scores))
    examples = report(pruner, n_examples=3).figures["examples"]
    assert examples["Kept, best ranked"] == [0, 1, 2]
    assert examples["Kept, last ranked"] == [7, 8, 9]
    assert examples["Removed, nearest to the kept rows"] == [10, 11, 12]
    assert examples["Removed, farthest from the kept rows"] == [37, 38, 39]


def test_near_copies_are_those_that_brute_force_finds():
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(30)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(40)]
    texts += [text + "." for text in texts[:10]] + ["ab", "AB  "]
    pool, kept = Pool(np.array(texts, dtype=object)), rng.random(52) < 0.5
    plain = [" ".join(text.lower().split()) for text in texts]
    grams = [[text[i : i + 5] for i in range(max(1, len(text) - 4))] for text in plain]
    weights = {gram: np.log(53 / (1 + sum(gram in g for g in grams))) + 1 for g in grams for gram in g}
    vectors = [{gram: g.count(gram) * weights[gram] for gram in set(g)} for g in grams]
    norms = [np.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]
    expected = set()
    for i in range(52):
        for j in range(i + 1, 52):
            dot = sum(value * vectors[j].get(gram, 0) for gram, value in vectors[i].items())
            if dot / norms[i] / norms[j] >= 0.9:
                expected.add((i, j))
    found = near_copies(pool, kept, 1_000, rng)
    assert {(i, j) for i, j, _ in found["pairs"]} == expected >= {(i, i + 40) for i in range(10)} | {(50, 51)}
    assert found["n_pairs"] == len(expected)
    assert found["n_near"] == len({i for pair in expected for i in pair})
    assert found["n_both_kept"] == sum(kept[i] and kept[j] for i, j in expected)


def test_numeric_pools_have_a_page():
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[5] = X[6]
    made = report(KMeansFilter(keep=20, random_state=0).fit(X))
    assert made.figures["copies"]["n_copies"] == 1
    assert "near" not in made.figures["copies"]
    Page(made.html)


def test_other_rows_than_those_of_fit_are_reported():
    pruner = RandomFilter(keep=0.5, random_state=0).fit(TEXTS)
    made = report(pruner, TEXTS[:20], groups={"half": np.arange(20) % 2})
    assert made.figures["summary"]["rows"] == 20


def test_both_files_are_written(tmp_path, attacked):
    _, pruner = attacked
    made = report(pruner, path=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == made.html
    assert json.loads((tmp_path / "page.json").read_text(encoding="utf-8")) == made.figures
    assert sorted(file.name for file in tmp_path.iterdir()) == ["page.html", "page.json"]
    with pytest.raises(ValueError, match=r"use the ending \.html"):
        made.save(tmp_path / "page.json")


def test_the_page_is_the_same_every_time(attacked):
    _, pruner = attacked
    assert report(pruner).html == report(pruner).html


def test_wrong_input_is_refused(attacked):
    _, pruner = attacked
    with pytest.raises(NotFittedError):
        report(RandomFilter())
    with pytest.raises(ValueError, match=r"groups\['x'\] must hold one value for each of the 125 rows"):
        report(pruner, groups={"x": [1, 2]})


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(package):
    code = f"""
import sys
sys.modules[{package!r}] = None
from skprune import RandomFilter, report
try:
    report(RandomFilter(random_state=0).fit(["a", "b", "c"]))
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"report needs {package}: pip install 'skprune[report]'" in found.stdout


def test_the_template_is_package_data():
    import importlib.resources

    assert (importlib.resources.files(skprune.reporting) / "page.html").is_file()
