"""Perplexity under a causal language model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from skprune.hub.fingerprints import digest_of
from skprune.language_models.causal.model import CausalLM
from skprune.pools import check_texts
from skprune.scorers.language_model import LanguageModelScorer, Scores, gathered

_FORMAT = 1  # part of the fingerprint: raised whenever a score changes


class CausalLMScorer(LanguageModelScorer):
    """Score texts by their log10 perplexity per token under a causal language model.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"HuggingFaceTB/SmolLM2-135M"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file, or a folder with exactly one. Code in it is never run.
    quantization : {"auto", "nf4", "int8"} or None, default="auto"
        As for :class:`~skprune.QualityScorer`.
    max_length : int, default=512
        Tokens of a text that the model sees; the rest is cut off.
    revision : str, default=None
        Branch, tag or commit on the hub.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    tokens_per_batch : int, default=None
        Tokens in a forward pass, padding included. None: 512 on a CPU, 16,384 elsewhere. It is halved when
        memory runs out.
    verbose : int, default=0
        Positive shows a progress bar.

    Attributes
    ----------
    n_calls_ : int
        Texts run through the model over the object's life.

    See Also
    --------
    NGramScorer : The same of an n-gram model, thousands of times faster.
    GenerativeEntropy : The entropy of what the model expects, rather than its surprise.

    Notes
    -----
    ``log10 PPL = −Σ_t log10 p(x_t|x_<t) / T`` over the T tokens of the text. The first is predicted from the
    token for the beginning of a text, or where the model has none, for the end of one. The end of the text is
    not counted: chat models never learned to predict it. A text of no token scores ``+inf``, as with
    :class:`~skprune.NGramScorer`; the two are on different scales, for their tokens differ.

    The name of a special token in a text is read as ordinary characters.

    Examples
    --------
    >>> from skprune import CausalLMScorer
    >>> from skprune.datasets import fetch_model
    >>> scorer = CausalLMScorer(fetch_model("smollm2-135m"))  # doctest: +SKIP
    >>> scorer(["The cat sat on the mat.", "mat the on. sat The cat"])  # doctest: +SKIP
    array([1.3..., 2.9...])
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        quantization: str | None = "auto",
        max_length: int = 512,
        revision: str | None = None,
        device: str = "auto",
        tokens_per_batch: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.quantization = quantization
        self.max_length = max_length
        self.revision = revision
        self.device = device
        self.tokens_per_batch = tokens_per_batch
        self.verbose = verbose

    def iter_scores(self, texts: Any) -> Scores:
        """Yield the scores batch by batch, so that an interrupt costs no more than one batch.

        Parameters
        ----------
        texts : sequence of str

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each comes once.
        scores : ndarray of float64
            Theirs, as :meth:`__call__` returns them.

        Raises
        ------
        ValueError, ModelLoadError
            As :meth:`__call__` does, before the first batch.
        """
        for rows, nats in self.iter_means(texts, "nll"):
            yield rows, nats / np.log(10)

    def iter_means(self, texts: Any, measure: str) -> Scores:
        """Yield means over each text's tokens, batch by batch.

        Parameters
        ----------
        texts : sequence of str
        measure : {"nll", "entropy"}
            −ln p of the tokens, or the entropy of the distributions that they were drawn from.

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each comes once.
        means : ndarray of float64
            Nats a token; ``+inf`` where there is none.
        """
        self._validate_params()
        texts = check_texts(texts)
        if not len(texts):
            return
        lm = self._load()
        if lm.max_positions is not None and self.max_length >= lm.max_positions:
            raise ValueError(
                f"max_length={self.max_length} must be below the model's {lm.max_positions} positions"
            )

        def means(batch: list[list[int]]) -> np.ndarray:
            nll, entropy = lm.token_surprise(batch, entropy=measure == "entropy")
            n_tokens = np.array([len(ids) - 1 for ids in batch])
            values = nll if entropy is None else entropy
            return np.add.reduceat(values, np.cumsum(n_tokens) - n_tokens) / n_tokens

        def score(distinct: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            sequences = encode_texts(lm, distinct, self.max_length)
            empty = np.array([len(ids) == 1 for ids in sequences])
            if empty.any():
                yield np.flatnonzero(empty), np.full(empty.sum(), np.inf)
            full = np.flatnonzero(~empty)
            for rows, values in self._longest_first(lm, [sequences[i] for i in full], means):
                yield full[rows], values

        yield from self._each_once(texts, score, "reading")

    def perplexity(self, texts: Any) -> np.ndarray:
        """Return the perplexity of each text, ``10 ** self(texts)``."""
        with np.errstate(over="ignore"):
            return np.power(10.0, self(texts))

    def means(self, texts: Any, measure: str) -> np.ndarray:
        """Return what :meth:`iter_means` yields, for all texts."""
        texts = check_texts(texts)
        return gathered(self.iter_means(texts, measure), len(texts))

    @property
    def fingerprint(self) -> str:
        """What the scores depend on: the model's content or commit, precision, and length."""
        self._validate_params()
        content = (str(_FORMAT), self._model_fingerprint(), str(int(self.max_length)))
        return f"causal-lm-{digest_of(*content)}"


def encode_texts(lm: CausalLM, texts: list[str], max_length: int) -> list[list[int]]:
    """Return the token ids of each text, after the one that begins a text."""
    tokenizer = lm.tokenizer
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    encoded = tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=True,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
    )
    return [[begin, *ids] for ids in encoded["input_ids"]]
