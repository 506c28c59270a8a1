"""Release, sign, verify and export adapters."""
