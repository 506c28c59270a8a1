"""Numbers only: paired tests, intervals, power and sample sizes."""
