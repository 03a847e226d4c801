"""Errors and warnings that callers may want to catch by name."""


class EmptyPoolError(ValueError):
    """The pool has no rows."""


class PoolExhaustedError(ValueError):
    """Every row of the pool is labeled: no row is left to select."""


class ModelLoadError(OSError):
    """A model file is missing, truncated or of the wrong kind."""


class ServerError(OSError):
    """A model server cannot be reached, refuses a request, or answers wrongly.

    Attributes
    ----------
    status : int or None
        The HTTP status of the answer; None if none came, or if an answer with status 200 was wrong.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class LostClassWarning(UserWarning):
    """A filter prunes a labeled set and keeps no row of a class."""
