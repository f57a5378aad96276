"""One client each, run as `python -m tests.clients.drivers.NAME ORIGIN` in an empty folder: some write their pictures there."""
