"""Models behind an HTTP server: hosted ones, a vLLM, llama.cpp."""
