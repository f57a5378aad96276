"""The tests. test_MODULE.py and test_MODULE_subject.py prove qrlogin/MODULE.py; a folder, a part.

`make check` runs the tests that start no other program, `make test` all except the slow ones, which
`make matrix` runs. Helpers: `application` (a clock, a store to inspect, two people), `oracle` (the
protocol, written a second time), `cases` (every case of a step), `servers` (Redis, Chromium) and
`tables` (a table as one test).
"""
