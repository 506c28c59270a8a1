"""Write a new task from a table of a team's data: fixtures, references, policy, guide and workflow."""
