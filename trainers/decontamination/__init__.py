"""Decontamination: what becomes of rows that repeat a fixture or come near one."""
