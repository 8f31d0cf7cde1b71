"""Other people's programs that start processes: one module a framework, each needs only `mplog`'s public names.

Runs where the framework calls it. Nothing here imports a framework until it is asked for.
"""
