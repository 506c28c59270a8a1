"""A change compared with the branch that it is to be merged into: its rules, their code, and the decision by both."""
