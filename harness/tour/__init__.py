"""The first minute: a small repository with recorded outputs of real models, and the loop walked on it."""
