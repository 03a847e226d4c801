"""Prune what you label: pool filters for active learning and data selection, as scikit-learn estimators.

The stub ``__init__.pyi`` lists the public names. Each is imported when it is first used, so that
``import skprune`` takes no time and needs no optional dependency.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
