"""Whatever answers: requests in, completions out."""
