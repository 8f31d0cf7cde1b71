"""What runs in workers only, the parent being one: from a call to a line in the journal."""
