"""Plans: how many cases the units need, from the history of earlier runs."""
