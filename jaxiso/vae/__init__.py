"""Paper B: the LSTM-VAE, its training and evaluation."""
