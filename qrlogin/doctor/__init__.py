"""`python -m qrlogin doctor`: looks at a store and at a running site, and says what to mend.

`findings.py` is what it says, `stores.py` looks at a store, `sites.py` at a site over HTTP, and
`command.py` prints it. It begins logins of its own and cancels them, and reads nothing of others.
"""
