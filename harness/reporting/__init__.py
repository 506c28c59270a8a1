"""What people read: records as tables and texts."""
