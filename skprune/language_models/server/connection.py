"""The connection to an OpenAI-compatible server: the client, its settings, and errors in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from skprune._optional import require
from skprune.exceptions import ServerError
from skprune.language_models.server.answer import MalformedAnswerError
from skprune.language_models.server.secret import Secret

_CONNECT = 3.0  # seconds to connect: a server that is up accepts at once, however busy it is
_PROBE_RETRIES = 2
_REMEDIES = {
    400: "a text may be too long for the model: lower max_length",
    401: "pass api_key, or set the environment variable OPENAI_API_KEY",
    403: "pass an api_key that may use this model",
    404: "base_url should end with the version of the API, as in http://localhost:8000/v1",
    413: "a text is too long for the server: lower max_length",
    422: "the server does not know this request",
    429: "lower max_concurrency or raise max_retries",
}


@dataclass(frozen=True)
class Connection:
    """Where a server is, and how patient its client is.

    Attributes
    ----------
    base_url : str
        The address of the API, with its version: ``"http://localhost:8000/v1"``.
    api_key : Secret or None
        The key. None: the environment variable ``OPENAI_API_KEY``, or no key.
    timeout : float
        Seconds to wait for an answer.
    max_retries : int
        How often a request is repeated after a timeout, a broken connection, or the status 408, 409, 429 or
        5xx. The client waits as long as the server's Retry-After says, else 0.5 s, 1 s, 2 s and so on, up to
        8 s, less a random part.
    max_concurrency : int
        Maximum number of requests at the same time.
    """

    base_url: str
    api_key: Secret | None
    timeout: float
    max_retries: int
    max_concurrency: int

    def __post_init__(self) -> None:
        url = urlsplit(self.base_url)
        # The address is shown in errors and hashed into fingerprints, so it must not hold a secret.
        if url.username or url.password or url.query:
            raise ValueError("base_url must not contain a password or a query: pass the key as api_key")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(
                f"base_url={self.base_url!r} must be an address such as 'http://localhost:8000/v1'"
            )
        if self.api_key is not None and not isinstance(self.api_key.reveal(), str):
            raise ValueError("api_key must be a string or None")

    def client(self, *, is_probe: bool = False) -> Any:
        """Return a new ``openai.AsyncOpenAI``: use it as a context, inside one event loop.

        Parameters
        ----------
        is_probe : bool, default=False
            Whether to give up after two retries, so that a server that is not there is noticed in seconds.
        """
        openai = require("openai", extra="server", purpose="QualityScorer(base_url=...)")
        return openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._key() or "none",  # the client insists on one
            timeout=openai.Timeout(self.timeout, connect=min(self.timeout, _CONNECT)),
            max_retries=min(self.max_retries, _PROBE_RETRIES) if is_probe else self.max_retries,
        )

    async def post(self, client: Any, path: str, body: dict[str, Any]) -> Any:
        """Send a request, and return the parsed body of the answer; a text if it is not JSON."""
        with self._errors_in_words():
            return await client.post(path, body=body, cast_to=object)

    async def get(self, client: Any, path: str) -> Any:
        """Fetch a resource, and return its parsed body."""
        with self._errors_in_words():
            return await client.get(path, cast_to=object)

    def _key(self) -> str:
        return os.environ.get("OPENAI_API_KEY", "") if self.api_key is None else self.api_key.reveal()

    def error(self, problem: str, status: int | None = None) -> ServerError:
        """Return an error that names the server and never the key, which a server may have repeated."""
        key = self._key()
        if key:
            problem = problem.replace(key, "<hidden>")
        return ServerError(f"base_url={self.base_url!r} {problem}", status)

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        """Turn the errors of the client into a ServerError with the remedy."""
        import openai

        status = None
        try:
            yield
            return
        except ValueError:  # the body is not JSON
            raise MalformedAnswerError("is not JSON") from None
        except openai.APITimeoutError:
            problem = (
                f"did not answer within {self.timeout:g} s: raise timeout, or lower max_concurrency if the "
                "server is busy"
            )
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            problem = (
                f"cannot be reached ({type(cause).__name__}: {cause}): check that the server is running and "
                "that base_url is its address"
            )
        except openai.APIStatusError as error:
            status = error.status_code
            remedy = _REMEDIES.get(status, "look into the log of the server" if status >= 500 else "")
            said = " ".join(str(error.message).split())[:300]
            problem = f"answered with status {status}: {said}" + (f" ({remedy})" if remedy else "")
        # The client's error would show in a traceback what the server said, and that may hold the key.
        raise self.error(problem, status) from None
