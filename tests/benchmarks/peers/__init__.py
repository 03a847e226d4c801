"""Measurements that compare skprune with other libraries, or with the work that its filters save.

``make bench-peers`` runs them, keeps the figures in ``docs/benchmarks-peers.json`` and writes the page
``docs/benchmarks-peers.md`` from them.
"""
