"""The models that are loaded in this process: the two used last of each kind stay."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from skprune._locks import Lock
from skprune._progress import Progress
from skprune.hub.fingerprints import state_of
from skprune.hub.names import HubModel, forget_hub

Model = TypeVar("Model")

_MOST = 2  # models of one kind that stay loaded
_kinds: list[Loaded[Any]] = []
# One model loads at a time: threads that ask for the same one share it, and loading changes settings of the
# whole process for a moment.
_lock = Lock()


class Loaded(Generic[Model]):
    """A function that loads a model, with a memory of the two models that it returned last.

    Parameters
    ----------
    load : callable
        Takes a source and whatever else decides what is loaded, all hashable.
    """

    def __init__(self, load: Callable[..., Model]) -> None:
        self.load = load
        self._models: OrderedDict[tuple[Any, ...], Model] = OrderedDict()
        _kinds.append(self)

    def __call__(self, source: Path | HubModel, *others: Any, verbose: int = 0) -> Model:
        """Return the model, loaded now unless it is remembered and its files are the same.

        Parameters
        ----------
        source : Path or HubModel
            Where the model is.
        *others
            Further arguments of the function.
        verbose : int, default=0
            Verbosity of the progress bar.
        """
        key = (source, state_of(source), *others)
        with _lock.rlock:
            if key not in self._models:
                while len(self._models) >= _MOST:  # before loading, so that three are never in memory
                    self._models.popitem(last=False)
                with Progress(f"loading {source.name}", verbose=verbose):
                    self._models[key] = self.load(source, *others)
            self._models.move_to_end(key)
            return self._models[key]

    def clear(self) -> None:
        """Forget the models."""
        self._models.clear()


def clear_models() -> None:
    """Free the memory of the models that skprune has loaded in this process.

    Scorers, encoders and transformers keep no weights of their own: the two models of each kind (causal
    language models, sentence encoders, text encoders to fine-tune, encoder–decoders) that were used last stay
    loaded for the next call. After this function the next call loads its model again. Classifiers that are
    already fitted keep their fine-tuned weights.

    Examples
    --------
    >>> from skprune.hub import clear_models
    >>> clear_models()
    """
    with _lock.rlock:
        for kind in _kinds:
            kind.clear()
        forget_hub()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
