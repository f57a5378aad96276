"""`python -m qrlogin doctor`: looks at a store and at a running site, and says what to fix.

`findings.py` is what it says, `stores.py` looks at a store, `sites.py` at a site over HTTP, and
`command.py` prints it. It begins logins of its own and ends them, and reads nothing of others.
"""
