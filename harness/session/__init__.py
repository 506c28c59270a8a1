"""One run: the selected cases, the models that run them, and the records."""
