"""Models as Flax modules."""
