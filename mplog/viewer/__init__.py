"""Read log files: parsers, selection, rendering. Runs in the command `mplog`; never imports the runtime."""
