"""P("yes") from a server that lists the most probable tokens: what a scorer needs in order to ask one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from skprune.exceptions import ServerError
from skprune.language_models.server.connection import Connection
from skprune.language_models.server.model import ServerLM
from skprune.language_models.server.probe import probe
from skprune.language_models.server.secret import Secret
from skprune.scorers.language_model import LanguageModelScorer, ScoreBatches
from skprune.scorers.prompts import TextFrame, spellings

CENSORED_SHARE = 0.05  # above it, a warning says that scores are bounds
_PROBE_TEXT = "The train to the coast leaves every morning at seven."
_WORDS = {spelling: word for word in ("yes", "no") for spelling in spellings(word)}
_ROUNDING = 1e-7  # of the float32 log probabilities that servers send


class ServedScorer(LanguageModelScorer):
    """A scorer that can ask a server instead of loading a model.

    Subclasses have the parameters declared below.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LanguageModelScorer._parameter_constraints,
        "model": [str, os.PathLike, None],
        "base_url": [str, None],
        "api_key": [Secret, None],
        "max_concurrency": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "max_retries": [Interval(Integral, 0, None, closed="left")],
        "max_calls": [Interval(Integral, 0, None, closed="left"), None],
    }

    base_url: str | None
    max_concurrency: int
    timeout: float
    max_retries: int
    max_calls: int | None
    normalize: str
    chat_template: bool

    # Wrapped wherever it is set, so that repr, get_params and whatever else shows parameters hide it.
    @property
    def api_key(self) -> Secret | None:
        """The key, which is not shown."""
        restored_by_skops = self._api_key is not None and self._api_key.reveal() is None
        return None if restored_by_skops else self._api_key

    @api_key.setter
    def api_key(self, value: Any) -> None:
        self._api_key = None if value is None else Secret(value)

    @property
    def n_tokens_(self) -> int:
        """Number of tokens, of prompts and answers, that the server has counted."""
        return getattr(self, "_n_tokens", 0)

    @property
    def n_censored_(self) -> int:
        """Number of scores that rest on a bound, because the server did not list the answer."""
        return getattr(self, "_n_censored", 0)

    def __getstate__(self) -> dict[str, Any]:
        # A server may be replaced before the copy is used.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_probed"}

    def _served_model(self, frame: TextFrame) -> ServerLM:
        """Return the model on the server, probed at the first call."""
        assert self.base_url is not None
        connection = Connection(
            self.base_url, self.api_key, float(self.timeout), int(self.max_retries), int(self.max_concurrency)
        )
        (prompt,) = frame.fill([_PROBE_TEXT])
        model = None if self.model is None else os.fspath(self.model)
        key = (self.base_url, model, prompt, bool(self.chat_template))
        if getattr(self, "_probed", (None, None))[0] != key:
            lm = probe(connection, model, is_chat=bool(self.chat_template), prompt=prompt, spellings=_WORDS)
            self._probed = key, lm
        return replace(self._probed[1], connection=connection)

    def _served_content(self, template: str) -> list[Any]:
        """Return what identifies the model on the server, and how it is asked."""
        lm = self._served_model(TextFrame(template, self.max_length))
        return [lm.connection.base_url.rstrip("/"), lm.model, lm.identity, lm.answers_as, lm.request]

    @property
    def _named(self) -> str:
        """The parameter that names the model, for messages."""
        if self.model is None:
            return f"base_url={self.base_url!r}"
        return f"{self._parameter}={os.fspath(self.model)!r}"

    def _ask_server(self, frame: TextFrame, texts: Sequence[str]) -> ScoreBatches:
        """Yield (positions, scores) as the answers arrive, within the budget of calls."""
        lm = self._served_model(frame)
        n_allowed = len(texts)
        if self.max_calls is not None:
            n_allowed = min(n_allowed, max(0, self.max_calls - self.n_calls_))
        for answers in lm.first_tokens(frame.fill(texts[:n_allowed])):
            scored = [listed_score(answer.tokens, lm.words, self.normalize) for _, answer in answers]
            self._n_calls = self.n_calls_ + len(answers)
            self._n_tokens = self.n_tokens_ + sum(answer.n_tokens for _, answer in answers)
            self._n_censored = self.n_censored_ + sum(is_censored for _, is_censored in scored)
            yield np.array([row for row, _ in answers]), np.array([score for score, _ in scored])
        if n_allowed < len(texts):
            raise ServerError(
                f"max_calls={self.max_calls} prompts are used up: raise max_calls, or score fewer texts"
            )

    def _watched(self, batches: ScoreBatches, n_texts: int) -> ScoreBatches:
        """Pass on scores; let an error say how many came before it, and warn if many are bounds only."""
        n_done, n_before = 0, self.n_censored_
        try:
            for rows, scores in batches:
                n_done += len(rows)
                yield rows, scores
        except ServerError as error:
            raise ServerError(
                f"{error}. {n_done} of {n_texts} texts were scored; a filter keeps their scores in its "
                "memory, and another run asks for the others only",
                error.status,
            ) from None
        n_censored = self.n_censored_ - n_before
        if n_censored > CENSORED_SHARE * n_texts:
            warnings.warn(
                f"{n_censored} of {n_texts} scores are bounds, because the answer was not among the most "
                "probable tokens that the server lists: use a model or a prompt that is answered with yes or "
                "no, or a server with logprob_token_ids",
                UserWarning,
                stacklevel=2,
            )


def listed_score(
    listed: Sequence[tuple[str, float]], words: Mapping[str, str], normalize: str
) -> tuple[float, bool]:
    """Return P("yes") from a list of the most probable tokens, and whether it is a bound only.

    Parameters
    ----------
    listed : sequence of (str, float)
        Tokens and their log probabilities.
    words : mapping of str to str
        The answer, "yes" or "no", that a token spells.
    normalize : {"vocab", "yes_no"}
        As for :class:`~skprune.QualityScorer`.

    Returns
    -------
    score : float
        An answer that is not listed counts with the largest probability that it can have: that of the least
        probable token in the list, and no more than what the list leaves.
    is_censored : bool
        Whether the score depends on such a bound.

    Examples
    --------
    >>> import numpy as np
    >>> listed = [("No", np.log(0.6)), ("Yes", np.log(0.2)), (" yes", np.log(0.1))]
    >>> words = {"Yes": "yes", " yes": "yes", "No": "no"}
    >>> score, is_censored = listed_score(listed, words, "vocab")
    >>> round(score, 2), is_censored
    (0.3, False)
    >>> score, is_censored = listed_score(listed[:1], words, "vocab")
    >>> round(score, 2), is_censored
    (0.4, True)
    """
    probabilities = np.exp([logprob for _, logprob in listed]).clip(min=np.finfo(float).tiny)
    bound = min(probabilities.min(), max(1.0 - probabilities.sum(), _ROUNDING))
    spelled = [words.get(token) for token, _ in listed]
    answers = {
        word: sum(p for p, spells in zip(probabilities, spelled, strict=True) if spells == word)
        if word in spelled
        else bound
        for word in ("yes", "no")
    }
    if normalize == "vocab":
        return min(float(answers["yes"]), 1.0), "yes" not in spelled
    score = float(answers["yes"] / (answers["yes"] + answers["no"]))
    return score, not {"yes", "no"} <= set(spelled)
