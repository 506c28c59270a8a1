"""Training configuration: the recipe, the parent adapter, the exemptions."""
