"""Find out what a server offers, with a few requests, before thousands are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skprune.exceptions import ServerError
from skprune.language_models.server.answer import Answer, MalformedAnswerError
from skprune.language_models.server.background import outputs
from skprune.language_models.server.connection import Connection
from skprune.language_models.server.model import ServerLM

_MANY = 20  # names in an error message
# What identifies a model beyond its name, as far as servers tell: vLLM its path, llama.cpp its size.
_IDENTITY = ("root", "parent", "revision", "meta")
_REFUSALS = {400, 404, 422, 500, 501}  # how servers answer a request with a part that they do not know
_UNSCALED = -100.0  # below it, a second-best token was not scored by a model at temperature 1


def probe(
    connection: Connection,
    model: str | None,
    *,
    is_chat: bool,
    prompt: str,
    spellings: Mapping[str, str],
) -> ServerLM:
    """Ask a server for its models and for one answer, to learn what it offers.

    Parameters
    ----------
    connection : Connection
        Where the server is.
    model : str or None
        Name of the model. None: the only one that the server offers.
    is_chat : bool
        Whether to send prompts as the user of a chat.
    prompt : str
        The prompt of the probe.
    spellings : mapping of str to str
        Tokens of interest, and the word that each of them spells.

    Returns
    -------
    ServerLM

    Raises
    ------
    ServerError
        If the server cannot be reached, does not offer the model or gives no log probabilities, or if none of
        the tokens of interest is among the most probable ones.
    """

    async def work(put: Any) -> None:
        async with connection.client(is_probe=True) as client:
            put(await _Probe(connection, client, is_chat, prompt, spellings).run(model))

    ((served,),) = outputs(work, seconds=0.0)
    return served


@dataclass(frozen=True)
class _Probe:
    """The requests of one probe."""

    connection: Connection
    client: Any
    is_chat: bool
    prompt: str
    spellings: Mapping[str, str]

    async def run(self, model: str | None) -> ServerLM:
        name, identity = await self._find(model)
        problem = ServerError("")
        for request, words, lists_words in self._requests(await self._token_ids(name)):
            lm = ServerLM(self.connection, name, identity, None, self.is_chat, request, words, lists_words)
            try:
                answer = await lm.ask(self.client, self.prompt)
            except MalformedAnswerError as error:
                problem = self.connection.error(
                    f"gave an answer that {error}. The scorer needs log probabilities: choose a server that "
                    "returns top_logprobs, and turn them on (llama_cpp.server: --logits_all True)"
                )
            except ServerError as error:
                if error.status not in _REFUSALS:
                    raise
                problem = error
            else:
                self._check(answer, words)
                return ServerLM(
                    self.connection, name, identity, answer.model, self.is_chat, request, words, lists_words
                )
        remedy = (
            "; for a base model without a chat template, pass chat_template=False" if self.is_chat else ""
        )
        raise ServerError(f"{problem}{remedy}", problem.status)

    async def _find(self, model: str | None) -> tuple[str, dict[str, Any]]:
        """Return the name of the model, and what else the server tells about it."""
        try:
            listing = await self.connection.get(self.client, "/models")
            cards = {card["id"]: card for card in listing["data"]}
        except ServerError as error:
            if error.status != 404 or model is None:
                raise
            return model, {}  # a server without a list; a wrong name fails at the first prompt
        except (MalformedAnswerError, KeyError, TypeError):
            raise self.connection.error(
                "does not list its models at /models: check that it is an OpenAI-compatible server and that "
                "base_url ends with the version of the API, as in http://localhost:8000/v1"
            ) from None
        offered = ", ".join(repr(name) for name in list(cards)[:_MANY]) + (
            ", …" if len(cards) > _MANY else ""
        )
        if model is None and len(cards) != 1:
            raise self.connection.error(f"offers {len(cards)} models: pass one as model ({offered})")
        if model is None:
            (model,) = cards
        if model not in cards:
            raise self.connection.error(f"does not offer model={model!r}; it offers {offered}")
        return model, {key: cards[model][key] for key in _IDENTITY if key in cards[model]}

    async def _token_ids(self, model: str) -> dict[int, str]:
        """Return the ids of those spellings that are one token, if the server has vLLM's tokenizer route."""
        root, version, _ = self.connection.base_url.rstrip("/").rpartition("/v1")
        ids: dict[int, str] = {}
        if not version:
            return ids
        for spelling, word in self.spellings.items():
            body = {"model": model, "prompt": spelling, "add_special_tokens": False}
            try:
                tokens = (await self.connection.post(self.client, f"{root}/tokenize", body))["tokens"]
            except (ServerError, MalformedAnswerError, KeyError, TypeError):
                return {}
            if len(tokens) == 1:
                ids[int(tokens[0])] = word
        return ids if set(ids.values()) == set(self.spellings.values()) else {}

    def _requests(self, ids: dict[int, str]) -> Iterator[tuple[dict[str, Any], dict[str, str], bool]]:
        """Yield requests, the most informative first, with the tokens of interest in their answers.

        A model that thinks before it answers is told not to, in the way of vLLM and llama.cpp.
        """
        brief = {"chat_template_kwargs": {"enable_thinking": False}} if self.is_chat else {}
        if ids:
            by_id = {"logprob_token_ids": sorted(ids), "return_tokens_as_token_ids": True}
            words = {f"token_id:{token}": word for token, word in ids.items()}
            yield {**self._listing(20), **brief, **by_id}, words, True
        variants = [(20, brief), (20, {}), (5, {})] if brief else [(20, {}), (5, {})]
        for n_listed, more in variants:
            yield {**self._listing(n_listed), **more}, dict(self.spellings), False

    def _listing(self, n_listed: int) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": n_listed} if self.is_chat else {"logprobs": n_listed}

    def _check(self, answer: Answer, words: Mapping[str, str]) -> None:
        """Refuse probabilities that are not the model's own, and a model that does not answer."""
        ranked = sorted(answer.tokens, key=lambda token: -token[1])
        if len(ranked) > 1 and ranked[1][1] < _UNSCALED:
            raise self.connection.error(
                "returns log probabilities after sampling: start it so that it returns those of the model "
                "(vLLM: --logprobs-mode raw_logprobs)"
            )
        if not any(token in words for token, _ in ranked):
            raise self.connection.error(
                f"lists neither yes nor no among the first tokens of an answer, but {ranked[0][0]!r}: use an "
                "instruction-tuned model that does not think first, another prompt, or another chat_template"
            )
