"""The voice suite: the brand's style, its house rules, and the required content."""
