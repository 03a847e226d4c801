"""Models by name or folder: where they are, what identifies their content, which device runs them.

A model is named by a path or by its name on the Hugging Face hub. The hub has four seconds to answer; after
that, as with the environment variable ``HF_HUB_OFFLINE=1``, only its local cache is used.
:func:`clear_models` frees the models that are loaded in this process.
"""

from skprune.hub.loaded import clear_models

__all__ = ["clear_models"]
