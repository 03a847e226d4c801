"""The documentation is true where a machine can check it: its code runs, its links and names resolve."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GUIDES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/methods/*.md")),
]
PAGES = [*GUIDES, ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/results/*.md"))]

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?://)(?P<file>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
PATH = re.compile(r"\b(?:skprune|examples|tests|docs)/[\w./-]+\.(?:py|pyi|md|txt)\b")
DOTTED = re.compile(r"`(skprune(?:\.\w+)+)`")


class Block(NamedTuple):
    """One fenced block of Python; ``reason`` says why it is not run, if it is not."""

    page: Path
    line: int
    code: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("code")) + 1, found["code"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in GUIDES if blocks_of(page)], ids=name_of)
def test_the_blocks_of_a_page_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"blocks_of_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # so that classes of the page can be pickled
    for block in blocks_of(page):
        if block.reason is None:
            padding = "\n" * (block.line - 1)  # so that a traceback names the line of the page
            exec(compile(padding + block.code, str(page), "exec"), vars(module))


@pytest.mark.parametrize(
    "block", [block for page in GUIDES for block in blocks_of(page) if block.reason], ids=lambda b: b.name
)
def test_blocks_that_are_not_run_compile(block):
    compile(block.code, block.name, "exec")
    pytest.skip(f"{block.name} compiles but is not run: {block.reason}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page):
    text = page.read_text(encoding="utf-8")
    for link in LINK.finditer(without_code(text)):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), f"{name_of(page)} links to {link['file']}, which does not exist"
        if link["anchor"]:
            anchors = anchors_of(target.read_text(encoding="utf-8"))
            assert link["anchor"] in anchors, (
                f"{name_of(page)}: no heading #{link['anchor']} in {target.name}"
            )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_and_dotted_name_exists(page):
    text = page.read_text(encoding="utf-8")
    if page.name in ("CHANGELOG.md", "api-changes.md"):
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)  # the first column has the old names
    for path in sorted(set(PATH.findall(text))):
        assert (ROOT / path).exists(), f"{name_of(page)} names {path}, which does not exist"
    for dotted in sorted(set(DOTTED.findall(text))):
        assert resolves(dotted), f"{name_of(page)} names {dotted}, which does not exist"


def test_the_reference_lists_every_public_name():
    listed = set(
        re.findall(r"^   ([\w.]+)$", (ROOT / "docs/api.rst").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for module in (
        "skprune",
        "skprune.strategies",
        "skprune.scorers",
        "skprune.plotting",
        "skprune.files",
        "skprune.dask",
        "skprune.datasets",
    ):
        public = set(importlib.import_module(module).__all__) - {"BOILERPLATE_SECTIONS"}
        assert public <= listed, f"docs/api.rst lacks {sorted(public - listed)} of {module}"


def test_make_targets_named_in_the_docs_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
        assert named <= targets, f"{name_of(page)}: {named - targets}"


def test_the_files_that_other_tools_read_are_valid_yaml():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    skprune = importlib.import_module("skprune")
    assert citation["version"] == skprune.__version__
    assert len(citation["references"]) == 4
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert set(workflow["jobs"]) == {"pinned", "oldest", "newest", "docs"}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks["repos"][0]["hooks"]][:3] == ["ruff", "ruff-format", "mypy"]


def test_the_tests_of_the_job_with_the_oldest_packages_exist():
    for line in (ROOT / ".github/torch-free-tests.txt").read_text(encoding="utf-8").split():
        path, _, test = line.removeprefix("--deselect=").partition("::")
        assert (ROOT / path).exists(), path
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8") if test else True, line


def without_code(text: str) -> str:
    """Drop fenced blocks and code spans: ``predict[0](x)`` is no link there."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module or an attribute of one."""
    module, _, attribute = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError:
        return bool(module) and resolves(module) and hasattr(importlib.import_module(module), attribute)
    return True
