"""Each module runs one client: `python -m tests.clients.drivers.NAME ORIGIN`, in an empty folder,
because some write their pictures there.
"""
