"""Active learning on data whose labels are known: the loop, when it stops, and how good its curve is."""

from skprune.simulate.scoring import LearningCurveScorer
from skprune.simulate.simulator import ActiveLearningSimulator
from skprune.simulate.stopping import (
    OverallUncertainty,
    PlayedRound,
    StabilizingPredictions,
    StoppingCriterion,
    ValidationPlateau,
)

__all__ = [
    "ActiveLearningSimulator",
    "LearningCurveScorer",
    "OverallUncertainty",
    "PlayedRound",
    "StabilizingPredictions",
    "StoppingCriterion",
    "ValidationPlateau",
]
