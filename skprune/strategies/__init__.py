"""Query strategies, which pick the rows to label next. They have modAL's signature."""

from skprune.strategies.diversity import BERTKM, Coreset
from skprune.strategies.generation import IDDS, NSP
from skprune.strategies.hybrid import BADGE, CAL
from skprune.strategies.uncertainty import Entropy, LeastConfidence, Margin, RandomSampling

__all__ = [
    "BADGE",
    "BERTKM",
    "CAL",
    "IDDS",
    "NSP",
    "Coreset",
    "Entropy",
    "LeastConfidence",
    "Margin",
    "RandomSampling",
]
