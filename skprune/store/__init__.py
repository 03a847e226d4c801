"""Scores and vectors, kept by content so that each is bought once.

A value depends on the text and on the *fingerprint* of what computed it (model, revision, prompt, precision,
...). Both are hashed to 128 bits, so that clones in a grid search, folds, a shrinking pool and a restarted
process all find it again, and two fingerprints never mix.
"""

from skprune.store.base import Store
from skprune.store.disk import DiskStore
from skprune.store.memory import MemoryStore
from skprune.store.process import clear_process_store, open_store
from skprune.store.remembered import Remembered

__all__ = ["DiskStore", "MemoryStore", "Remembered", "Store", "clear_process_store", "open_store"]
