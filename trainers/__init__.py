"""The trainers: preparation, training and proof of LoRA adapters, on TRL and PEFT."""
