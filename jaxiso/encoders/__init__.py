"""Sentence encoders in Flax: where their files are, how they run, and a cache on disk."""
