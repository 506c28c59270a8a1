"""What stands from earlier runs: baselines, the ledger, and the numbers of evaluations."""
