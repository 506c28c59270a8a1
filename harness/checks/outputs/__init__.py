"""What a model's output is: a text, one JSON value read in bounds, or an assistant's message with calls."""
