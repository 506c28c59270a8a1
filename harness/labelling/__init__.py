"""People label outputs, blindly: a page on 127.0.0.1 and a terminal, over one list of questions and one labels file."""
