"""Models behind an HTTP server: hosted models, vLLM, llama.cpp."""
