"""mplog measured beside its rivals. `python -m benchmarks.run` runs everything; each module runs alone."""
