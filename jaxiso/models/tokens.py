"""The ids that every vocabulary begins with; models and data agree on them here."""

PAD, BOS, EOS, UNK = range(4)
"""Padding, the begin and the end of a sentence, and the word that stands for unknown ones."""
