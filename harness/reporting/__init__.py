"""Reports: records as tables, texts and pages."""
