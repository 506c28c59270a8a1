"""The trainers: what happens before and after TRL and PEFT train a LoRA adapter."""
