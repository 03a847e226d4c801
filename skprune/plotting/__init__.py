"""Plots of filters and simulations, as displays in the manner of scikit-learn.

Each display is made by ``from_estimator`` or ``from_simulators``, draws itself with ``plot(ax=None)``, and
then has the attributes ``ax_`` and ``figure_``. The displays of filters read what
:meth:`~skprune.BaseFilter.explain` returns, so that they serve every filter. They need matplotlib:
``pip install 'skprune[plot]'``.
"""

from skprune.plotting.composition import SubpoolCompositionDisplay
from skprune.plotting.curves import SimulationCurveDisplay
from skprune.plotting.histogram import ScoreHistogramDisplay
from skprune.plotting.quality_cost import QualityCostDisplay
from skprune.plotting.scatter import ScoreScatterDisplay
from skprune.plotting.vector_map import VectorMapDisplay

__all__ = [
    "QualityCostDisplay",
    "ScoreHistogramDisplay",
    "ScoreScatterDisplay",
    "SimulationCurveDisplay",
    "SubpoolCompositionDisplay",
    "VectorMapDisplay",
]
