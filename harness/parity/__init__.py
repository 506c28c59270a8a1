"""What is served beside what was judged: its prompts, its weights, its answers, and the gate's verdict on them."""
