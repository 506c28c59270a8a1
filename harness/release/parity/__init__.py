"""Compare a served model with the evaluated one: prompts, weights, outputs, and the gate's verdict on them."""
