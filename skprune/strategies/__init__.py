"""Query strategies, which pick the rows to label next. They have modAL's signature."""

from skprune.strategies.direct import DIRECT
from skprune.strategies.diversity import BERTKM, Coreset
from skprune.strategies.generation import IDDS, NSP
from skprune.strategies.herding import MaxHerding, UHerding
from skprune.strategies.hybrid import BADGE, CAL
from skprune.strategies.typiclust import TypiClust
from skprune.strategies.uncertainty import Entropy, LeastConfidence, Margin, RandomSampling

__all__ = [
    "BADGE",
    "BERTKM",
    "CAL",
    "DIRECT",
    "IDDS",
    "NSP",
    "Coreset",
    "Entropy",
    "LeastConfidence",
    "Margin",
    "MaxHerding",
    "RandomSampling",
    "TypiClust",
    "UHerding",
]
