"""The tests. test_MODULE.py and test_MODULE_subject.py prove qrlogin/MODULE.py; a folder proves a part.

`make check` runs what starts no other program, `make test` all but the slow and wide `make matrix`.
The helpers here: `application` (a clock, a store to look into, two people), `oracle` (the protocol
written a second time), `cases` (every case of a step), `servers` (Redis, Chromium), `tables` (a table
as one test).
"""
