"""An output in, findings out; the kinds of check do not know each other."""
