"""Result files of other tools: read, paired by id, and made into the tasks and records that the gate compares."""
