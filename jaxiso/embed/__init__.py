"""Paper A: pretrained vectors trained under a linear classifier."""
