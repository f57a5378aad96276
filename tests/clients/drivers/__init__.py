"""A driver for each client: `python -m tests.clients.drivers.NAME ORIGIN`, in an empty folder."""
