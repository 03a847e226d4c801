"""Perplexity under a causal language model."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from skprune.hub.fingerprints import digest_of
from skprune.scorers.language_model import LanguageModelScorer, ScoreBatches

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes


class CausalLMScorer(LanguageModelScorer):
    """Score texts by their log10 perplexity per token under a causal language model.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"HuggingFaceTB/SmolLM2-135M"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file; or a folder with exactly one GGUF file. Code that comes with the
        model is never run.
        If the hub does not answer within four seconds, or ``HF_HUB_OFFLINE=1`` is set, a name is taken from
        the hub's local cache; if the model is not there, the error says so.
    precision : {"auto", "nf4", "int8", "bfloat16", "float32"}, default="auto"
        What the weights are kept in, as for :class:`~skprune.QualityScorer`.
    max_length : int, default=512
        Maximum number of tokens of a text; the rest is cut off.
    revision : str, default=None
        Branch, tag or commit on the hub.
    device : str, default="auto"
        A torch device. "auto" takes a GPU (MPS or CUDA) if one is available, else the CPU.
    batch_size : int, default=None
        Maximum number of texts in one forward pass. None: as many as fit into 512 tokens on a CPU and 16,384
        elsewhere, padding included. Halved when memory runs out.
    verbose : int, default=0
        0 shows a progress bar, of loading and of scoring, after two seconds and on a terminal only. 1 shows
        it at once, everywhere.

    Attributes
    ----------
    n_calls_ : int
        Number of texts that this object has run through the model.

    See Also
    --------
    NGramScorer : Perplexity under an n-gram model, thousands of times faster.
    GenerativeEntropy : The entropy of the model's predictions instead of its surprise.

    Notes
    -----
    ``log10 PPL = −Σ_t log10 p(x_t|x_<t) / T`` over the T tokens of the text. The first token is predicted
    from the beginning-of-text token, or from the end-of-text token if the model has no other. The end of the
    text is not counted, because chat models never learned to predict it. A text without a token scores
    ``+inf``, as with :class:`~skprune.NGramScorer`. Scores of the two scorers are not comparable, because
    their tokens differ.

    Copies of a text are scored once. The name of a special token in a text is read as ordinary characters.

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
        precision: str = "auto",
        max_length: int = 512,
        revision: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.precision = precision
        self.max_length = max_length
        self.revision = revision
        self.device = device
        self.batch_size = batch_size
        self.verbose = verbose

    def iter_scores(self, texts: Any) -> ScoreBatches:
        """Yield (positions, log10 perplexities) batch by batch; ``texts`` are checked and distinct."""
        for rows, nats in self.iter_means(texts, "nll"):
            yield rows, nats / np.log(10)

    def iter_means(self, texts: Any, measure: str) -> ScoreBatches:
        """Yield means over the tokens of each text, batch by batch.

        Parameters
        ----------
        texts : sequence of str
            Checked, distinct texts, as for :meth:`iter_scores`.
        measure : {"nll", "entropy"}
            The mean of −ln p of the tokens, or of the entropies of the distributions that predict them.

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each position occurs once.
        means : ndarray of float64
            Nats per token; ``+inf`` for a text without a token.
        """
        self._validate_params()
        if not len(texts):
            return
        lm = self._load()
        if lm.max_positions is not None and self.max_length >= lm.max_positions:
            raise ValueError(
                f"max_length={self.max_length} must be below the model's {lm.max_positions} positions"
            )

        def batch_means(batch: list[list[int]]) -> np.ndarray:
            nll, entropies = lm.token_surprise(batch, entropy=measure == "entropy")
            n_tokens = np.array([len(ids) - 1 for ids in batch])
            values = nll if entropies is None else entropies
            return np.add.reduceat(values, np.cumsum(n_tokens) - n_tokens) / n_tokens

        def chunk_means(chunk: list[str]) -> ScoreBatches:
            sequences = lm.encode(chunk, self.max_length)
            is_empty = np.array([len(ids) == 1 for ids in sequences])
            if is_empty.any():
                yield np.flatnonzero(is_empty), np.full(is_empty.sum(), np.inf)
            others = np.flatnonzero(~is_empty)
            for rows, means in self._by_length(lm, [sequences[i] for i in others], batch_means):
                yield others[rows], means

        yield from self._in_chunks(texts, chunk_means, "scoring")

    def perplexity(self, texts: Any) -> np.ndarray:
        """Return the perplexity of each text, ``10 ** self(texts)``."""
        with np.errstate(over="ignore"):
            return np.power(10.0, self(texts))

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the model's content or commit, the precision and the length."""
        self._validate_params()
        content = (str(_SCORE_VERSION), self._model_fingerprint(), str(int(self.max_length)))
        return f"causal-lm-{digest_of(*content)}"
