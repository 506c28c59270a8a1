"""What is asked for: the recipe, the adapter to go on from, the pairs that are exempted."""
