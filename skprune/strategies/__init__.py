"""What to label next: query strategies with modAL's signature."""

from skprune.strategies.uncertainty import Entropy, LeastConfidence, Margin, RandomSampling

__all__ = ["Entropy", "LeastConfidence", "Margin", "RandomSampling"]
