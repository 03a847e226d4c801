"""Errors that a caller may want to catch by name."""


class EmptyPoolError(ValueError):
    """The pool has no rows."""


class PoolExhaustedError(ValueError):
    """Every row of the pool is labeled already: nothing is left to select."""


class ModelLoadError(OSError):
    """A model file is missing, truncated or of another kind than it should be."""
