"""Statistics: paired tests, intervals, power and sample sizes."""
