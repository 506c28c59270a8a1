"""The house's terms, their banned variants, and regulated wording."""
