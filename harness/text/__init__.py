"""Text as it is compared: what a reader sees, the words and their forms, and where they stand in the original."""
