"""Models: requests in, completions out."""
