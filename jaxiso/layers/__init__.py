"""Measures every layer of a model on texts: isotropy, clusters, how contextual its words are."""
