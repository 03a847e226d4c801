"""Stores of scores and vectors, so that every value is computed once.

A value depends on the text and on the *fingerprint* of what computed it: its model, revision, prompt,
precision and so on. Both are hashed to 128 bits. Clones in a grid search, the folds of a cross-validation, a
shrinking pool and a restarted process therefore all find the values that were computed before, and values of
two fingerprints never mix.

A parameter ``memory`` says where values are kept:

- ``memory=None``: in this process, for as long as it runs, and at most 1 GiB. Beyond the limit, the values of
  the fingerprint that was used least recently are dropped. :func:`set_process_limit` changes the limit,
  :func:`clear_process_store` frees the memory at once.
- ``memory="folder"``: in that folder, on disk and without a limit. Processes that run at the same time share
  it, and later ones continue from it.

``open_store(memory).info()`` shows what is kept.
"""

from skprune.store.base import Store
from skprune.store.disk import DiskStore
from skprune.store.memory import MemoryStore
from skprune.store.process import clear_process_store, open_store, set_process_limit
from skprune.store.remembered import Remembered

__all__ = [
    "DiskStore",
    "MemoryStore",
    "Remembered",
    "Store",
    "clear_process_store",
    "open_store",
    "set_process_limit",
]
