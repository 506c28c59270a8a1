"""Training rows: read in any form, and searched for cases that they repeat or come near."""
