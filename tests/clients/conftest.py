"""Pytest must not import the drivers: an import runs them."""

collect_ignore = ["drivers"]
