"""The proof that no training example repeats a fixture."""
