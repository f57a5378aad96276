"""The drivers are programs: to import one is to run it."""

collect_ignore = ["drivers"]
