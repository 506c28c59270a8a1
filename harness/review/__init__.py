"""What a reviewer reads of files: rule changes of a change, and fixtures that are probably mistaken."""
