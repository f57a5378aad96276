"""The drivers are programs: importing one would run it."""

collect_ignore = ["drivers"]
