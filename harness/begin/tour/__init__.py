"""The tour: a small repository with recorded outputs of real models, and the commands of the loop on it."""
