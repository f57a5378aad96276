"""OpenTelemetry spans: `pip install 'qrlogin[opentelemetry]'`, and an SDK with an exporter.

    from qrlogin.contrib.opentelemetry import Traces

    Traces().observe(endpoint)

A request to the endpoint is a span, inside the one that your framework's instrumentation makes, and
each command to the store is a span inside it. No attribute holds a code, a user or an address; a
`login_id` grants nothing. docs/observability.md lists the spans and their attributes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from qrlogin.answers import Event
from qrlogin.contrib.observing import Observer
from qrlogin.errors import QRLoginError

__all__ = ["Traces"]


class Traces(Observer):
    """Makes a span of each request to an endpoint and of each command to its store.

    :param provider: makes the tracer; OpenTelemetry's global one by default.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        super().__init__()
        self._tracer = trace.get_tracer("qrlogin", version("qrlogin"), provider)

    def event(self, event: Event) -> None:
        """Add the event to the span of its request."""
        attributes: dict[str, str | int] = {
            "qrlogin.login_id": event.login_id,
            "qrlogin.version": event.version,
        }
        if event.step_ms is not None:
            attributes["qrlogin.step_ms"] = event.step_ms
        trace.get_current_span().add_event(f"qrlogin.{event.name}", attributes)

    @contextmanager
    def command(self, name: str) -> Iterator[Callable[[str], object]]:
        """A span of a command to the store."""
        # Exceptions are named and not recorded: their texts and traces are not for a trace.
        with self._tracer.start_as_current_span(
            f"qrlogin.store {name}",
            kind=SpanKind.CLIENT,
            attributes={"qrlogin.command": name},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield lambda verdict: span.set_attribute("qrlogin.verdict", str(verdict))
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    @contextmanager
    def request(self, side: str, method: str, route: str) -> Iterator[Callable[[int], object]]:
        """A span of a request.

        :param side: as of `Observer`.
        :param method: as of `Observer`.
        :param route: as of `Observer`.
        """
        with self._tracer.start_as_current_span(
            f"qrlogin {side} {method} {route}".rstrip(),
            kind=SpanKind.INTERNAL,
            attributes={
                "qrlogin.side": side,
                "http.request.method": method,
                **({"http.route": route} if route else {}),
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))

            try:
                yield answered
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def refusal(self, side: str, error: QRLoginError) -> None:
        """Name the reason in the span of the request."""
        trace.get_current_span().set_attribute("error.type", error.wire_code)
