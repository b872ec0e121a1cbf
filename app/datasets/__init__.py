"""Datasets: registry, storage binding, the pool and its ledger, and the one gate to their contents."""
