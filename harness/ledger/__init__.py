"""What happened to the baselines, in order; evaluations of sealed cases; files that are written together."""
