"""Two configurations on a snapshot of traffic: where outputs differ, which inputs are drawn, and what labels say."""
