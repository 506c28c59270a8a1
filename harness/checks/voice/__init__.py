"""The brand's style, its house rules, and what had to be said."""
