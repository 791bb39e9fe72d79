"""The definition: what a small neural network is, and how each library trains it."""
