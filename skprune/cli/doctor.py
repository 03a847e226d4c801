"""``skprune doctor``: whether this machine has what the methods need."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Annotated, Any, NamedTuple

import typer

from skprune.cli.group import FAILED, Debug
from skprune.cli.options import Inputs, Json, Text
from skprune.cli.output import print_json, print_table
from skprune.cli.pipes import as_files
from skprune.cli.values import assignments

_ADDS = {
    "cli": "this command",
    "encoders": "sentence encoders, for filters that compare vectors",
    "files": "Parquet, Arrow, JSON lines and CSV files",
    "generation": "BLEU and ROUGE for translation and summarization",
    "hnsw": "approximate nearest neighbors",
    "imblearn": "PruneSampler",
    "llm": "large language models on this machine",
    "models": "TransformerClassifier and TransformerSeq2Seq",
    "ngram": "n-gram models (perplexity)",
    "onnx": "models that are stored in ONNX",
    "plot": "plots",
    "report": "report, an HTML page",
    "server": "large language models behind a server",
}
_CORE = ("numpy", "scipy", "scikit-learn", "pandas", "lmdb", "torch", "transformers")
_TEXTS = ["the cat sat on the mat", "a dog ran over the green hill", "birds sang in the old trees"]


class Check(NamedTuple):
    """One line of the result; ``ok`` is None for what is only told."""

    what: str
    ok: bool | None
    found: str


def doctor(
    inputs: Inputs = None,
    text: Text = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="LLM to test on texts of the inputs: a name on the hub, a folder or a GGUF file.",
            show_default=False,
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="A parameter of QualityScorer for --model: --set base_url=http://localhost:8000/v1",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell versions, installed extras and what works. The exit code is 1 if a test fails.

    Example: skprune doctor pool/ -t body --model path/to/model

    An extra that is not installed is not a failure.
    """
    if model is not None and not inputs:
        raise typer.BadParameter("--model needs INPUTS with a few hundred texts to test it on")
    with as_files(inputs or [], None) as paths:
        checks = list(_checks(paths, text, model, assignments(set or [])))
    if json:
        print_json([check._asdict() for check in checks])
    else:
        words = {True: "ok", False: "failed", None: ""}
        print_table(("what", "", "found"), [(what, words[ok], found) for what, ok, found in checks])
    if any(check.ok is False for check in checks):
        raise typer.Exit(FAILED)


def _checks(
    inputs: list[str], text: str | None, model: str | None, parameters: dict[str, Any]
) -> Iterator[Check]:
    import skprune

    yield Check("skprune", None, skprune.__version__)
    yield Check("Python", None, f"{platform.python_version()} on {platform.platform()}")
    for package in _CORE:
        yield Check(package, None, _version(package) or "not installed")
    yield from _extras()
    yield _ngram()
    yield _hub()
    if model is not None:
        yield _sanity(inputs, text, model, parameters)


def _extras() -> Iterator[Check]:
    try:
        required = requires("skprune") or []
    except PackageNotFoundError:
        yield Check("extras", None, "skprune was not installed with pip, so they are not known")
        return
    for extra in metadata("skprune").get_all("Provides-Extra") or []:
        if extra in ("all", "test"):
            continue
        marked = [r for r in required if re.search(rf"""extra == ['"]{re.escape(extra)}['"]""", r)]
        names = [re.match(r"[\w.-]+", requirement) for requirement in marked]
        missing = [name[0] for name in names if name is not None and _version(name[0]) is None]
        adds = _ADDS.get(extra, "")
        if missing:
            found = f"missing {', '.join(missing)}: pip install 'skprune[{extra}]' adds {adds}"
        else:
            found = f"installed: {adds}"
        yield Check(f"extra {extra}", None, found)


def _ngram() -> Check:
    """Train, write and load a small model: kenlm is compiled when it is installed."""
    from skprune import NGramScorer

    try:
        with tempfile.TemporaryDirectory() as folder:
            NGramScorer(order=2).fit(_TEXTS).save(folder)
            NGramScorer.load(folder)(_TEXTS)
    except ImportError as error:
        compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
        found = f"a compiler is at {compiler}" if compiler else "it needs a C++ compiler, and none was found"
        return Check("n-gram models", None, f"{error} ({found})")
    except Exception as error:
        return Check("n-gram models", False, str(error))
    return Check("n-gram models", True, "a small model was trained, saved, loaded and asked")


def _hub() -> Check:
    from skprune.hub.names import why_unavailable

    try:
        reason = why_unavailable()
    except ImportError as error:
        return Check("Hugging Face hub", None, str(error))
    if reason:
        return Check("Hugging Face hub", None, f"{reason}; only models in the local cache can be used")
    return Check("Hugging Face hub", True, "answers")


def _sanity(inputs: list[str], text: str | None, model: str, parameters: dict[str, Any]) -> Check:
    from skprune import QualityScorer
    from skprune.files import sample_texts

    try:
        texts = sample_texts(inputs, 400, text=text)
        scorer = QualityScorer(model).set_params(**parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the result says the same
            check = scorer.sanity_check(texts, random_state=0)
    except (ImportError, OSError, ValueError) as error:
        return Check(f"model {model}", False, str(error))
    return Check(f"model {model}", check.passed, str(check))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
