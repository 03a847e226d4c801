"""An OpenAI-compatible server in a thread that answers at once, and misbehaves on demand."""

from __future__ import annotations

import json
import math
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler", dict], None]


class FaultServer:
    """A context that serves one model.

    Parameters
    ----------
    faults : callable, default=None
        Takes the number of an answer (the probe has 0) and its prompt, and returns a function that answers
        instead, or None.
    listed : callable, default=None
        The answer's tokens: takes the prompt, returns a dict of log probabilities. None: :func:`listed`.
    latency : float, default=0.0
        Seconds before each answer.
    models : sequence of dict
        What ``/models`` lists.
    token_ids : dict of str to int, default=None
        The vocabulary of a server that has vLLM's ``/tokenize`` and ``logprob_token_ids``.
    refuses : callable, default=None
        Takes a request, and returns whether it has a part that the server does not know.
    port : int, default=0
        0 takes a free one.

    Attributes
    ----------
    requests : list of dict
        The bodies of the requests for answers.
    most_at_once : int
        Maximum number of requests for answers at the same time.
    """

    def __init__(
        self, faults=None, *, listed=None, latency=0.0, models=({"id": "judge"},), token_ids=None,
        refuses=None, port=0,
    ):  # fmt: skip
        self.faults = faults or (lambda number, prompt: None)
        self.listed = listed or listed_for
        self.latency = latency
        self.models = list(models)
        self.token_ids = token_ids
        self.refuses = refuses or (lambda body: False)
        self.requests: list[dict] = []
        self.keys: set[str] = set()
        self.most_at_once = self.at_once = 0
        self.lock = threading.Lock()
        self.http = _Server(("127.0.0.1", port), Handler)
        self.http.owner = self
        self.port = self.http.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class _Server(ThreadingHTTPServer):
    owner: FaultServer
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client has gone."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.send(200, {"object": "list", "data": self.server.owner.models})
        else:
            self.send(404, {"error": {"message": "Not Found"}})

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        owner.keys.add(self.headers["authorization"])
        if self.path == "/tokenize" and owner.token_ids is not None:
            known = owner.token_ids.get(body["prompt"])
            self.send(200, {"tokens": [1, 2] if known is None else [known], "max_model_len": 100})
        elif self.path in ("/v1/chat/completions", "/v1/completions"):
            with owner.lock:
                number = len(owner.requests)
                owner.requests.append(body)
                owner.at_once += 1
                owner.most_at_once = max(owner.most_at_once, owner.at_once)
            try:
                self.answer(number, body)
            finally:
                with owner.lock:
                    owner.at_once -= 1
        else:
            self.send(404, {"error": {"message": "Not Found"}})

    def answer(self, number: int, body: dict) -> None:
        owner = self.server.owner
        time.sleep(owner.latency)
        if owner.refuses(body):
            self.send(400, {"error": {"message": "extra fields are forbidden"}})
            return
        fault = owner.faults(number, prompt_of(body))
        (fault or answer_well)(self, self.good(body))

    def good(self, body: dict) -> dict:
        """Return the answer that a well-behaved server would give."""
        owner = self.server.owner
        listed = owner.listed(prompt_of(body))
        if owner.token_ids and body.get("logprob_token_ids"):
            names = {token: name for name, token in owner.token_ids.items()}
            listed = {f"token_id:{t}": listed.get(names[t], -9999.0) for t in body["logprob_token_ids"]}
        tokens = [{"token": token, "logprob": logprob} for token, logprob in listed.items()]
        if "messages" in body:
            logprobs = {"content": [{**tokens[0], "top_logprobs": tokens}]} if body.get("logprobs") else None
        else:
            logprobs = {"top_logprobs": [listed]}
        choice = {"index": 0, "logprobs": logprobs, "finish_reason": "length"}
        return {"model": body["model"], "choices": [choice], "usage": {"total_tokens": 100}}

    def send(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


def prompt_of(body: dict) -> str:
    return body["messages"][0]["content"] if "messages" in body else body["prompt"]


def listed_for(prompt: str) -> dict[str, float]:
    """Return 6 tokens, with probabilities that depend on the prompt."""
    share = zlib.crc32(prompt.encode()) / 2**32
    probabilities = {"Yes": 0.5 * share, " yes": 0.1 * share, "No": 0.6 * (1 - share), "The": 0.2}
    return {token: math.log(p) for token, p in {**probabilities, "I": 0.01, "A": 0.002}.items()}


# ---------------------------------------------------------------------- faults


def answer_well(handler: Handler, body: dict) -> None:
    handler.send(200, body)


def stall(handler: Handler, body: dict) -> None:
    time.sleep(1.0)


def truncate(handler: Handler, body: dict) -> None:
    """Announce the whole body, send half of it, and hang up."""
    data = json.dumps(body).encode()
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def too_many(handler: Handler, body: dict) -> None:
    handler.send(429, {"error": {"message": "slow down"}}, retry_after="0.3")


def break_down(handler: Handler, body: dict) -> None:
    handler.send(500, {"error": {"message": "out of memory"}})


def drop_logprobs(handler: Handler, body: dict) -> None:
    body["choices"][0]["logprobs"] = None
    handler.send(200, body)


def talk_nonsense(handler: Handler, body: dict) -> None:
    handler.send(200, b'{"choices": [{"logprobs": {"content": [')


def answer_twice(handler: Handler, body: dict) -> None:
    handler.send(200, {**body, "choices": body["choices"] * 2})


def say_nothing(handler: Handler, body: dict) -> None:
    handler.send(200, {**body, "choices": []})


def exceed_one(handler: Handler, body: dict) -> None:
    logprobs = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    logprobs[0]["logprob"] = logprobs[1]["logprob"] = -0.1
    handler.send(200, body)


def hang_up(handler: Handler, body: dict) -> None:
    handler.close_connection = True
