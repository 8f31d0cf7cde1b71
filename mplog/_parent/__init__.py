"""What runs in the parent only: settings, and the beginning of a session."""
