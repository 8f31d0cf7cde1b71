"""What runs on both sides of a journal: lines, journals, spool, locks."""
