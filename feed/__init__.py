"""Readers per format, the comparison with what is known, and the import that applies it."""
