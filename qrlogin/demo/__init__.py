"""`python -m qrlogin demo`: a login page, phones to play with, and a check that plays both. For a look, not for real accounts.

client      HTTP for the terminals       knows no login
people      accounts, phones, sessions   what every application has of its own
pages       the pages and their headers
dialects    which of them there are
site        the WSGI application         joins all of the above to an `Endpoint`
server      threads and sockets
terminal    a browser in the terminal that runs the demo
phone       a phone in a terminal
players     a client of each other dialect
selfcheck   both sides, over HTTP
"""
