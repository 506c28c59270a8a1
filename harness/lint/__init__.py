"""What is allowed in fixtures and probably not meant."""
