"""Errors that callers may want to catch by name."""


class EmptyPoolError(ValueError):
    """The pool has no rows."""


class PoolExhaustedError(ValueError):
    """Every row of the pool is labeled: no row is left to select."""


class ModelLoadError(OSError):
    """A model file is missing, truncated or of the wrong kind."""
