"""Read the answer of a server: the most probable first tokens, checked, because a server may be anything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_IMPOSSIBLE = -1000.0  # servers write −∞ as −9999, or as another number that no model returns
_ROUNDING = 1e-3


class MalformedAnswerError(ValueError):
    """An answer is not what the API promises."""


@dataclass(frozen=True)
class Answer:
    """The first token of an answer.

    Attributes
    ----------
    tokens : list of (str, float)
        Tokens and their log probabilities, as the server lists them. A text may occur twice, because
        different tokens may look alike.
    model : str or None
        The model that the server says has answered.
    n_tokens : int
        Tokens of prompt and answer, as the server counts them.
    """

    tokens: list[tuple[str, float]]
    model: str | None
    n_tokens: int


def read_answer(body: Any) -> Answer:
    """Check the body of a chat completion or a completion, and read its first token.

    Parameters
    ----------
    body : object
        The parsed JSON.

    Raises
    ------
    MalformedAnswerError
        If it does not hold exactly one choice with log probabilities.

    Examples
    --------
    >>> logprobs = {"top_logprobs": [{"yes": -0.1, "no": -2.5}]}
    >>> read_answer({"choices": [{"logprobs": logprobs}]}).tokens
    [('yes', -0.1), ('no', -2.5)]
    """
    if not isinstance(body, dict):
        raise MalformedAnswerError(f"is not a JSON object: {str(body)[:80]!r}")
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        n_choices = len(choices) if isinstance(choices, list) else "no"
        raise MalformedAnswerError(f"has {n_choices} choices instead of one")
    tokens = _checked(_first_listed(choices[0].get("logprobs")))
    model, usage = body.get("model"), body.get("usage")
    n_tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Answer(
        tokens,
        model if isinstance(model, str) else None,
        n_tokens if isinstance(n_tokens, int) else 0,
    )


def _first_listed(logprobs: Any) -> list[tuple[Any, Any]]:
    """Return the tokens listed at the first position, in either format of the API."""
    try:
        if logprobs.get("content") is not None:  # chat completions, and llama.cpp's completions
            return [(entry["token"], entry["logprob"]) for entry in logprobs["content"][0]["top_logprobs"]]
        return list(logprobs["top_logprobs"][0].items())  # completions
    except (AttributeError, IndexError, KeyError, TypeError):
        raise MalformedAnswerError("has no log probabilities of a first token") from None


def _checked(listed: list[tuple[Any, Any]]) -> list[tuple[str, float]]:
    """Return the tokens with a probability; refuse invalid log probabilities."""
    tokens = [
        (token, float(logprob))
        for token, logprob in listed
        if isinstance(token, str) and isinstance(logprob, int | float) and logprob > _IMPOSSIBLE
    ]
    if not tokens:
        raise MalformedAnswerError("has no log probabilities of a first token")
    total = sum(math.exp(min(logprob, 1.0)) for _, logprob in tokens)
    if not total <= 1 + _ROUNDING:
        raise MalformedAnswerError(f"lists probabilities that sum to {total:.3g}")
    return tokens
