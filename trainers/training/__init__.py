"""The training itself: TRL's trainers, the loop, checkpoints, processes, estimates."""
