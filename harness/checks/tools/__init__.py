"""The tools suite: an assistant's calls, held to the tools that were offered and to those that the case expects."""
