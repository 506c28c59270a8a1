"""The refusal suite: whether an output refuses a request, complies with it, or is incoherent."""
