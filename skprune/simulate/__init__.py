"""Active learning on data whose labels are known: the loop, its stopping criteria and its learning curve."""

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
