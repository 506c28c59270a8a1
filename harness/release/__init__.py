"""What leaves: release, verify, export."""
