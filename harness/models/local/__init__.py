"""Local models: transformers in this process, or in its workers."""
