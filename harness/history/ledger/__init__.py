"""The ledger: events of the baselines in order, evaluations of sealed cases, and atomic writes of several files."""
