"""One run: what was selected, who answers it, what comes of it."""
