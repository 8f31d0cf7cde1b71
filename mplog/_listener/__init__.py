"""What runs in the listener only, thread or process: from the journals to your log."""
