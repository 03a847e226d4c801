"""Causal language models: load them, and compute probabilities, entropies and continuations."""
