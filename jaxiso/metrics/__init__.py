"""Metrics: arrays in, numbers out; pure, and usable under jit, vmap and grad."""
