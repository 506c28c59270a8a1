"""A new task, written from a table of what a team has: fixtures, their references, policy, guide and workflow."""
