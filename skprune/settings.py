"""What a result depends on, as plain JSON that two runs can compare."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

# No pick depends on these parameters, whatever object has them.
_PARAMETERS_WITHOUT_EFFECT = {"memory", "n_jobs", "verbose"}


def plain_settings(value: Any) -> Any:
    """Return a parameter's value as plain JSON that is the same in every process.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> plain_settings(RandomFilter(keep=20))
    {'class': 'skprune.filters.random.RandomFilter', 'keep': 20, 'random_state': None, 'text': None}
    >>> plain_settings(len), plain_settings(np.arange(3))
    ('builtins.len', 'int64[3] 843b4c2e263cffb1e01994db21aa6bf9')
    """
    if isinstance(value, float) and not np.isfinite(value):
        return repr(float(value))  # NaN would differ from itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, partial):
        return [plain_settings(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "get_params") and not isinstance(value, type):
        plain = {"class": _qualified_name(type(value))}
        for name, parameter in sorted(value.get_params(deep=False).items()):
            if name not in _PARAMETERS_WITHOUT_EFFECT:
                plain[name] = plain_settings(parameter)
        if isinstance(value, FrozenEstimator):
            inner = value.estimator
            plain["fitted"] = getattr(inner, "fingerprint", None) or joblib.hash(inner)
        return plain
    if isinstance(getattr(value, "fingerprint", None), str):
        return value.fingerprint
    if isinstance(value, (list, tuple)):
        return [plain_settings(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain_settings(v) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(repr(value.tolist()).encode(), digest_size=16).hexdigest()
        return f"{value.dtype}{list(value.shape)} {digest}"
    return _qualified_name(value if hasattr(value, "__qualname__") else type(value))


def _qualified_name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def differences(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Yield one sentence for each setting that differs."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(k for k in wanted if k not in found)]:
            yield from differences(found.get(key), wanted.get(key), f"{where}.{key}" if where else key)
    elif found != wanted:
        yield f"{where} was {found!r} in that run, and is {wanted!r} now"
