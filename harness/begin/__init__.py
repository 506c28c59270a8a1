"""How a project begins: a task from examples, result files or an incident, packs of guards, and the tour."""
