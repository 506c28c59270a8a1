"""Files that people edit: strict YAML, the line of every path, mistakes with what was expected and found."""
