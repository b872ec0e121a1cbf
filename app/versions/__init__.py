"""Versions: every change of content, uploads, history, comparisons, taking back, names."""
