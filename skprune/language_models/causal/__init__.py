"""Causal language models: loading them, and what they say about a text."""
