"""qrlogin in your framework: `flask`, `fastapi`, `django`, and plain `wsgi` and `asgi`. Beside them
are metrics and traces (`prometheus`, `opentelemetry`, `observing`) and a check for load balancers
(`health`).

Import the module of your framework. None is imported by another part of the library, and each
imports its framework only when it is imported itself. They share these rules:

- A body that your application has read before is found again. A short one can be read afterwards,
  too.
- Your CSRF protection is asked where a request acts with a user's authority: on the phone's routes
  and on redeem. It is never asked for a request that carries a token of its own in `Authorization`,
  because a page of another site cannot make a browser send one.
- A preflight has no credentials, so neither your CSRF protection nor `person` is asked about it.
- `log_in` may return nothing, a mapping, or a response of your framework. The mapping, or the JSON
  in the body of the response, is `session` in the body of the answer to a redeem; the headers and
  cookies of the response are sent with that answer. A response with an error status is sent in
  place of the answer, with the headers by which a page of another origin may read it. A bool means
  nothing; anything else raises `TypeError`, and a redirect `ValueError`.
- `protect`, `log_in`, `log_out` and `tokens` may raise `qrlogin.errors.Forbidden`, which is
  answered in the words of the dialect, or what your framework raises for a refusal.
"""
