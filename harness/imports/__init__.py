"""Files of other tools, imported as fixtures: nothing in them is executed, and nothing is dropped silently."""
