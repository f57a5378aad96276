"""`python -m qrlogin doctor`: looks at a store and at a running site, and says what to fix.

`stores.py` looks at a store, `sites.py` at a site over HTTP, `logins.py` at the policy of an
application, and `command.py` prints what `findings.py` spells. It begins logins
of its own and ends them, and reads nothing of others.
"""
