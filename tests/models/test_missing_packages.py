"""Without torch, transformers or skorch: errors name the extra, and the rest of skprune works."""

import subprocess
import sys

import pytest

NETS = ["skprune:FixMatchClassifier", "skprune:ProxyClassifier"]
VIEWS = ["skprune.filters.semi_prune.views:TextViews"]
TRANSFORMERS = [
    "skprune:TransformerClassifier",
    "skprune:TransformerSeq2Seq",
    "skprune.models.nets:BucketedBatches",
]
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path, target=None):
        if name == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
"""


def lines_of(code, hidden, *args):
    """Return what a script prints in a process that cannot import the hidden package."""
    command = [sys.executable, "-W", "ignore", "-c", HIDE.format(hidden=hidden) + code, *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("hidden", "purpose", "names"),
    [
        ("torch", "Training a neural net", NETS + VIEWS),
        ("skorch", "Training a neural net", NETS),
        ("torch", "Fine-tuning a transformer", TRANSFORMERS),
        ("skorch", "Fine-tuning a transformer", TRANSFORMERS),
        ("transformers", "Fine-tuning a transformer", TRANSFORMERS),
    ],
)
def test_a_missing_package_is_named_with_its_extra(hidden, purpose, names):
    code = """
import importlib
for name in sys.argv[1:]:
    module, _, attribute = name.partition(":")
    try:
        getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        print(error)
"""
    expected = f"{purpose} needs {hidden}: pip install 'skprune[models]'"
    assert lines_of(code, hidden, *names) == [expected] * len(names)


def test_an_error_inside_skprune_is_not_taken_for_a_missing_package():
    from skprune._optional import optional_imports

    with (
        pytest.raises(ImportError, match="cannot import name 'nothing'"),
        optional_imports(extra="models", purpose="A test"),
    ):
        from skprune.streams import nothing  # noqa: F401


def test_semi_prune_works_without_torch_and_only_its_default_proxy_needs_it():
    code = """
import numpy as np, skprune
from sklearn.neural_network import MLPClassifier
dir(skprune)
X = np.random.default_rng(0).normal(size=(40, 3)) + np.arange(40)[:, None] % 2
y = np.where(np.arange(40) < 10, np.arange(40) % 2, -1)
pruner = skprune.SemiPruneFilter(keep=5, n_epochs=2, proxy=MLPClassifier(), random_state=0)
print(len(pruner.fit(X, y).select(X)))
try:
    pruner.set_params(proxy=None).fit(X, y)
except ImportError as error:
    print(error)
"""
    expected = ["5", "Training a neural net needs torch: pip install 'skprune[models]'"]
    assert lines_of(code, "torch") == expected
