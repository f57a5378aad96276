"""`python -m qrlogin demo`: a login page, two phones to play with, and a self-check.

It is for a look at qrlogin, never for real accounts.

client      HTTP for the terminals; knows nothing of logins
people      accounts, phones and sessions: what every application has of its own
pages       the HTML pages and their headers
dialects    the dialects that the demo can speak
site        the WSGI application, which joins the modules above to an `Endpoint`
server      threads and sockets
screen      a QR code and a status line in a terminal
terminal    a browser in the terminal that runs the demo
phone       a phone in a terminal
players     a client of each dialect
selfcheck   plays browsers and phones over HTTP
run         the command: starts all of the above, and stops it
"""
