"""Packs of guards: cases that watch what a change may break, copied into a project as its own fixtures."""
