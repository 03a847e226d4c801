"""A causal language model on a server, and the first tokens of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skprune.exceptions import ServerError
from skprune.language_models.server.answer import Answer, MalformedAnswerError, read_answer
from skprune.language_models.server.background import outputs
from skprune.language_models.server.connection import Connection

_GATHER = 1.0  # seconds of answers that are handed over together: what a crash of this process can lose


@dataclass(frozen=True)
class ServerLM:
    """A model on a server; :func:`~skprune.language_models.server.probe.probe` returns one.

    Attributes
    ----------
    connection : Connection
        Where the server is.
    model : str
        The name of the model on the server.
    identity : dict
        What else the server tells about the model.
    answers_as : str or None
        The model that the server's answers name.
    is_chat : bool
        Whether prompts are sent as the user of a chat.
    request : dict
        The part of a request that all prompts share.
    words : dict of str
        The tokens of interest, as the answers spell them, and the word that each stands for.
    lists_words : bool
        Whether every answer lists the probability of all tokens of interest. Otherwise it lists the most
        probable tokens only.
    """

    connection: Connection
    model: str
    identity: dict[str, Any]
    answers_as: str | None
    is_chat: bool
    request: dict[str, Any]
    words: dict[str, str]
    lists_words: bool

    def first_tokens(self, prompts: Sequence[str]) -> Iterator[list[tuple[int, Answer]]]:
        """Ask all prompts, several at a time, and yield the answers as they arrive.

        After a failure no further request is sent, and the answers to those on their way are still yielded.

        Parameters
        ----------
        prompts : sequence of str

        Yields
        ------
        list of (int, Answer)
            The position of a prompt, and its answer. A list holds the answers of about one second.

        Raises
        ------
        ServerError
            If a request fails for good, or another model answers than the one that was probed.
        """

        async def work(put: Any) -> None:
            failures: list[ServerError] = []
            waiting = iter(enumerate(prompts))

            async def ask() -> None:
                for row, prompt in waiting:
                    if failures:
                        return
                    try:
                        put((row, await self._answer(client, prompt)))
                    except ServerError as error:
                        failures.append(error)

            async with self.connection.client() as client:
                n_together = min(self.connection.max_concurrency, len(prompts))
                await asyncio.gather(*(ask() for _ in range(n_together)))
            if failures:
                raise failures[0]

        return outputs(work, seconds=_GATHER)

    async def ask(self, client: Any, prompt: str) -> Answer:
        """Send one prompt, and return the checked answer.

        Raises
        ------
        ServerError
            If the server does not answer, or refuses.
        MalformedAnswerError
            If the answer does not hold what was asked for.
        """
        content: dict[str, Any]
        if self.is_chat:
            path, content = "/chat/completions", {"messages": [{"role": "user", "content": prompt}]}
        else:
            path, content = "/completions", {"prompt": prompt}
        body = {"model": self.model, "max_tokens": 1, "temperature": 0, **content, **self.request}
        answer = read_answer(await self.connection.post(client, path, body))
        if self.lists_words and not self.words.keys() <= {token for token, _ in answer.tokens}:
            raise MalformedAnswerError("lacks some of the tokens asked for")
        return answer

    async def _answer(self, client: Any, prompt: str) -> Answer:
        """Return an answer; a malformed one is asked for again, as often as a failing request."""
        for attempt in range(self.connection.max_retries + 1):
            try:
                answer = await self.ask(client, prompt)
                break
            except MalformedAnswerError as error:
                if attempt == self.connection.max_retries:
                    raise self.connection.error(
                        f"gave an answer that {error}, to the prompt that ends in {prompt[-60:]!r}"
                    ) from None
        if answer.model != self.answers_as:
            raise self.connection.error(
                f"answers as model {answer.model!r} now and as {self.answers_as!r} at first: the model was "
                "replaced, so make a new scorer"
            )
        return answer
