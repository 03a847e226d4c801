"""Names on the Hugging Face hub: which commit a name means, without waiting long for a hub that is silent."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from skprune._optional import require
from skprune.exceptions import ModelLoadError

#: Seconds to wait for the hub before only the local cache is used.
PATIENCE = 4.0
_SILENCE_LASTS = 60.0  # seconds for which a silent hub is not asked again
# Files that identify a commit: transformers models have the first, sentence-transformers models the second.
_MARKS = ("config.json", "modules.json")


_OFFLINE = "HF_HUB_OFFLINE is set"
_NOT_FOUND = "is neither a local path nor a model on the hub"


@dataclass(frozen=True)
class HubModel:
    """A model on the hub, or its copy in the local cache.

    Attributes
    ----------
    name : str
        The name, for instance ``"FacebookAI/roberta-base"``.
    commit : str
        The commit that the name and the revision currently mean.
    cached_only : str
        Why only the local cache may be used; empty if the hub can be asked.
    """

    name: str
    commit: str
    cached_only: str = field(default="", compare=False)


def find_on_hub(name: str, revision: str | None, *, parameter: str, gguf: bool = False) -> HubModel:
    """Return the model that a name on the hub means.

    With the environment variable ``HF_HUB_OFFLINE=1`` only the local cache is used. Otherwise the hub has a
    few seconds to answer; after that, only the cache is used.

    Parameters
    ----------
    name : str
        A name on the hub.
    revision : str or None
        Branch, tag or commit; None is the main branch.
    parameter : str
        The parameter that holds the name; errors name it.
    gguf : bool, default=False
        Whether the parameter also takes GGUF files. The error message then says so.

    Raises
    ------
    ModelLoadError
        If the hub has no such model, or if it cannot be asked and the cache does not hold the model.
    """
    hub = _client(f"{parameter}={name!r}")
    try:
        hub.utils.validate_repo_id(name)
    except ValueError as error:
        raise not_available(
            name, f"{_NOT_FOUND}, whose names have the form owner/name", parameter, gguf
        ) from error
    cached_only = _OFFLINE if _is_offline(hub) else _why_silent(hub, name, revision)
    if not cached_only:
        try:
            return HubModel(name, _ask_commit(name, revision))
        except Exception as error:  # the hub's client raises errors of many types
            raise not_available(name, _explain(hub, error, revision), parameter, gguf) from error
    commit = _cached_commit(hub, name, revision)
    if commit is None:
        reason = f"is not a local path, {cached_only}, and the local cache does not hold it"
        raise not_available(name, reason, parameter, gguf)
    return HubModel(name, commit, cached_only)


def why_unavailable() -> str:
    """Return why the hub cannot be asked, after a few seconds at most; an empty string if it answers.

    Raises
    ------
    ImportError
        If its client is not installed.
    """
    hub = _client("the hub")
    return _OFFLINE if _is_offline(hub) else _why_silent(hub, "openai-community/gpt2", None)


def not_available(name: str, reason: str, parameter: str, gguf: bool) -> ModelLoadError:
    """Return the error for a hub name that cannot be used: the parameter, the name, why, and what to do."""
    remedy = "connect to the hub; with HF_HUB_OFFLINE=1 only the local cache is used, without a wait"
    if _OFFLINE in reason:
        remedy = "unset HF_HUB_OFFLINE and connect to the hub"
    elif _NOT_FOUND in reason:
        remedy = "the name of a model on the hub"
    folder = "folder or GGUF file" if gguf else "folder"
    return ModelLoadError(
        f"{parameter}={name!r} {reason}. Pass the path of a {folder} that holds the model, or {remedy}"
    )


def forget_hub() -> None:
    """Forget which commits the hub named and whether it was silent."""
    _ask_commit.cache_clear()
    _silence.clear()


_silence: dict[str, tuple[float, str]] = {}  # endpoint -> (when it was asked, what was wrong)


def _client(purpose: str) -> Any:
    """Return the package of the hub's client, with those of its modules that are used here."""
    for module in ("constants", "errors", "utils"):
        require(f"huggingface_hub.{module}", extra="llm", purpose=purpose)
    return require("huggingface_hub", extra="llm", purpose=purpose)


def _is_offline(hub: Any) -> bool:
    # The client reads the variable when it is imported; a program may also set it later.
    wanted = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return wanted or hub.constants.HF_HUB_OFFLINE


def _why_silent(hub: Any, name: str, revision: str | None) -> str:
    """Return why the hub cannot be asked, or an empty string if it answers.

    The client itself would wait and try again for up to a minute.
    """
    endpoint = hub.constants.ENDPOINT
    asked, reason = _silence.get(endpoint, (-_SILENCE_LASTS, ""))
    if time.monotonic() - asked < _SILENCE_LASTS:
        return reason
    answer: list[str] = []
    done = threading.Event()

    def ask() -> None:
        try:
            url = hub.hf_hub_url(name, _MARKS[0], revision=revision)
            headers = hub.utils.build_hf_headers()
            status = hub.get_session().head(url, headers=headers, timeout=PATIENCE).status_code
            answer.append("" if status < 407 else f"the hub ({endpoint}) answers with status {status}")
        except Exception as error:  # several HTTP clients, each with its own errors
            answer.append(f"the hub ({endpoint}) cannot be reached ({type(error).__name__})")
        done.set()

    # In a thread, because the look-up of a host name has no time limit of its own.
    threading.Thread(target=ask, daemon=True).start()
    done.wait(PATIENCE)
    reason = answer[0] if answer else f"the hub ({endpoint}) does not answer within {PATIENCE:.0f} seconds"
    if reason:
        _silence[endpoint] = (time.monotonic(), reason)
    return reason


@lru_cache(maxsize=256)
def _ask_commit(name: str, revision: str | None) -> str:
    """Return the commit of a hub name; this fetches one small file, and records the revision in the cache."""
    hub = _client(f"model={name!r}")
    for mark in _MARKS:
        try:
            return Path(hub.hf_hub_download(name, mark, revision=revision, etag_timeout=PATIENCE)).parent.name
        except hub.errors.EntryNotFoundError:
            if mark == _MARKS[-1]:
                raise
    raise AssertionError


def _cached_commit(hub: Any, name: str, revision: str | None) -> str | None:
    """Return the commit of a hub name in the local cache, or None if the cache does not hold the model."""
    for mark in _MARKS:
        path = hub.try_to_load_from_cache(name, mark, revision=revision)
        if isinstance(path, str):
            return Path(path).parent.name
    return None


def _explain(hub: Any, error: Exception, revision: str | None) -> str:
    """Return why the hub did not provide a model, as the end of a sentence."""
    if isinstance(error, hub.errors.RevisionNotFoundError):
        return f"has no revision={revision!r} on the hub"
    if isinstance(error, hub.errors.GatedRepoError):
        return "is gated on the hub: accept its terms there, and log in with `hf auth login`"
    if isinstance(error, hub.errors.RepositoryNotFoundError):
        return f"{_NOT_FOUND} that you have access to"
    if isinstance(error, hub.errors.LocalEntryNotFoundError):
        return f"could not be fetched from the hub ({reason_of(error)})"
    if isinstance(error, hub.errors.EntryNotFoundError):
        return f"has neither a {_MARKS[0]} nor a {_MARKS[1]} on the hub"
    return f"could not be fetched from the hub ({reason_of(error)})"


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's message, and that of the error at the root of it.

    Examples
    --------
    >>> try:
    ...     try:
    ...         {}["weights"]
    ...     except KeyError as error:
    ...         raise OSError("The model is damaged.\\nTry another.") from error
    ... except OSError as error:
    ...     print(reason_of(error))
    The model is damaged: KeyError: 'weights'
    """
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    first = _first_line(error)
    if root is error or _first_line(root) in first:
        return first
    return f"{first.rstrip('.')}: {type(root).__name__}: {_first_line(root)}"


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
