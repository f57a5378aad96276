"""Metrics and traces, read from the real exporters: what prometheus_client serves over HTTP, and
what OpenTelemetry's exporter sends to a collector.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from inspect import isawaitable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from flask import Flask, request
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from qrlogin import (
    AsyncMemoryStore,
    AsyncQRLogin,
    Event,
    MemoryStore,
    QRLogin,
    QRLoginError,
    Unavailable,
    errors,
)
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.contrib.flask import PhoneLogin
from qrlogin.contrib.observing import Observer
from qrlogin.contrib.opentelemetry import Traces
from qrlogin.contrib.prometheus import Metrics
from qrlogin.testing import AsyncBrowser, AsyncPhone, Browser, Clock, Phone, Refused
from qrlogin.wire import AsyncEndpoint, Endpoint, Native, Person, Request
from tests.application import KEY, URI

MARIA = "subject-42"
PHONE = {"Authorization": "Bearer phone-of-maria"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"


def person(headers: Any) -> Person | None:
    is_maria = headers.get("Authorization") == PHONE["Authorization"]
    return Person(MARIA, name="maria@example.com", by_token=True) if is_maria else None


def flask_site() -> tuple[Endpoint, Any, type[Browser], type[Phone]]:
    app = Flask(__name__)
    app.config.update(QRLOGIN_ORIGIN="https://example.com", QRLOGIN_SECRET_KEYS=[KEY])
    PhoneLogin(lambda: person(request.headers), lambda redeemed: None).init_app(app)
    return app.extensions["qrlogin_endpoint"], app.test_client(), Browser, Phone


def asgi_site() -> tuple[AsyncEndpoint, Any, type[AsyncBrowser], type[AsyncPhone]]:
    def who(scope: Any) -> Person | None:
        return person({key.decode().title(): value.decode() for key, value in scope["headers"]})

    qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
    endpoint = AsyncEndpoint(qr, max_waiting=8)
    transport = httpx2.ASGITransport(qrlogin_app(endpoint, who, lambda *_: None))
    client = httpx2.AsyncClient(transport=transport, base_url="https://example.com")
    return endpoint, client, AsyncBrowser, AsyncPhone


SITES: dict[str, Callable[[], tuple[Any, Any, Any, Any]]] = {"flask": flask_site, "asgi": asgi_site}


async def done(result: Any) -> Any:
    return await result if isawaitable(result) else result


def play(name: str, observer: Observer) -> list[str]:
    """Five logins, one for each end. Returns texts that no metric and no trace may hold."""

    async def story() -> list[str]:
        endpoint, client, make_browser, make_phone = SITES[name]()
        observer.observe(endpoint)
        at = "/qrlogin" if name == "flask" else "/"
        secrets = [MARIA, "maria@example.com", "phone-of-maria", AGENT, "Firefox"]

        def browser() -> Any:
            return make_browser(client, at=at, headers={"User-Agent": AGENT})

        phone = make_phone(client, at=f"{at}/phone", headers=PHONE)
        with Clock() as clock:
            redeemed = await done(browser().begin())
            clock.turn(4)
            await done(phone.scan(redeemed))
            clock.turn(6)
            await done(phone.confirm(redeemed))
            clock.turn(2)
            await done(redeemed.redeem())
            denied = await done(browser().begin())
            await done(phone.scan(denied))
            await done(phone.release(denied))
            await done(phone.scan(denied))
            clock.turn(1)
            await done(phone.deny(denied))
            cancelled = await done(browser().begin())
            await done(cancelled.cancel())
            expired = await done(browser().begin())
            clock.turn(400)
            with pytest.raises(Refused, match="expired"):
                await done(phone.scan(expired))
            stranger = make_phone(client, at=f"{at}/phone")
            with pytest.raises(Refused, match="unauthenticated"):
                await done(stranger.scan(expired))
            with pytest.raises(Refused, match="not_found"):
                await done(make_phone(client, at=f"{at}/nothing", headers=PHONE).scan(expired))
        for each in (redeemed, denied, cancelled, expired):
            secrets += [each.code.rpartition("/")[2], each._op]
        if isinstance(client, httpx2.AsyncClient):
            secrets += [value for _, value in client.cookies.items()]
            await client.aclose()
            await endpoint.qr.close()
        else:
            endpoint.qr.close()
        return secrets

    return asyncio.run(story())


# Prometheus


class Served:
    """What an exporter serves, read by prometheus_client's own parser."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.server, self._thread = start_http_server(0, "127.0.0.1", registry)

    @property
    def text(self) -> str:
        address = f"http://127.0.0.1:{self.server.server_port}/metrics"
        with urllib.request.urlopen(address) as answer:
            text: str = answer.read().decode()
            return text

    def __getitem__(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a name, by the values of their labels in alphabetical order."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def served(registry: CollectorRegistry) -> Iterator[Served]:
    served = Served(registry)
    yield served
    served.close()


@pytest.mark.parametrize("name", SITES)
def test_prometheus_serves_ends_times_refusals_and_the_latency_of_the_store(
    name: str, registry: CollectorRegistry, served: Served
) -> None:
    secrets = play(name, Metrics(registry))
    assert served["qrlogin_events_total"] == {
        ("begun",): 4,
        ("scanned",): 3,
        ("released",): 1,
        ("confirmed",): 1,
        ("denied",): 1,
        ("cancelled",): 1,
        ("redeemed",): 1,
    }
    assert 4 <= served["qrlogin_time_to_scan_seconds_sum"][()] < 90
    assert served["qrlogin_time_to_scan_seconds_count"] == {(): 3}
    assert served["qrlogin_time_to_decide_seconds_count"] == {
        ("confirmed",): 1,
        ("released",): 1,
        ("denied",): 1,
    }
    assert 6 <= served["qrlogin_time_to_decide_seconds_sum"]["confirmed",] < 90
    assert 2 <= served["qrlogin_time_to_collect_seconds_sum"][()] < 90
    assert served["qrlogin_refusals_total"] == {
        ("expired", "phone"): 1,
        ("unauthenticated", "phone"): 1,
        ("not_found", "browser"): 1,
    }
    commands = served["qrlogin_store_seconds_count"]
    assert {("begin",), ("scan",), ("confirm",), ("redeem",), ("deny",)} <= commands.keys()
    assert commands["redeem",] == 1
    assert served["qrlogin_store_errors_total"] == {}
    assert served["qrlogin_waiting"] == {(): 0}
    assert served["qrlogin_waiting_limit"] == {(): 8}
    assert_nothing_leaks(served.text, secrets)


def assert_nothing_leaks(text: str, secrets: list[str]) -> None:
    assert all(len(secret) > 5 for secret in secrets)
    assert [secret for secret in secrets if secret in text] == []
    assert "127.0.0.1" not in text


def test_the_values_of_every_label_are_a_fixed_set(registry: CollectorRegistry) -> None:
    """A stranger who sends other paths, methods and codes makes no new time series."""
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    endpoint, metrics = Endpoint(qr, max_waiting=1), Metrics(registry)
    metrics.observe(endpoint)
    for n in range(20):
        endpoint.browser(Request(f"METHOD{n}", f"path{n}"))
        endpoint.browser(Request("GET", "x" * n))
        endpoint.phone(Request("POST", "scan", body=b'{"code":"%d"}' % n), Person("1", name="n"))
    allowed = {
        kind.wire_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, QRLoginError)
    }
    samples = [sample for family in registry.collect() for sample in family.samples]
    reasons = {sample.labels["reason"] for sample in samples if "reason" in sample.labels}
    assert reasons
    assert reasons <= allowed
    assert {sample.labels["side"] for sample in samples if "side" in sample.labels} <= {
        "browser",
        "phone",
    }


@pytest.mark.parametrize("stream", [False, True], ids=["held status", "stream"])
def test_prometheus_shows_how_many_browsers_wait_now(
    stream: bool, registry: CollectorRegistry, served: Served
) -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    endpoint = Endpoint(qr, max_waiting=8)
    Metrics(registry).observe(endpoint)
    begun = qr.begin()
    bearer = (("authorization", f"Bearer {begun.device_code}"),)
    where = f"{begun.login_id}/events" if stream else begun.login_id
    query = f"after={begun.version}" + ("" if stream else "&wait=25")
    statuses = list[int]()

    def wait() -> None:
        answer = endpoint.browser(Request("GET", where, query, bearer))
        if isinstance(answer.events, Iterable):
            assert [*answer.events]
        statuses.append(answer.status)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: served["qrlogin_waiting"] == {(): 1})
    qr.close()
    waiting.join()
    assert statuses == [200]
    # A stream gives its slot back after its request is answered: the next request counts that.
    endpoint.browser(Request("GET", "nothing"))
    assert served["qrlogin_waiting"] == {(): 0}


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)


class Away(MemoryStore):
    """A store that does not answer."""

    def apply(self, command: Any) -> Any:
        raise Unavailable("away")


def test_a_store_that_does_not_answer_is_counted_and_traced(
    registry: CollectorRegistry, served: Served
) -> None:
    spans = InMemorySpanExporter()
    with QRLogin(Away(), secret_keys=[KEY], verification_uri=URI) as qr:
        endpoint = Endpoint(qr, max_waiting=1)
        Metrics(registry).observe(endpoint)
        Traces(provider(spans)).observe(endpoint)
        assert endpoint.browser(Request("POST", "begin", headers=JSON, body=b"{}")).status == 503
    assert served["qrlogin_store_errors_total"] == {("begin",): 1}
    assert served["qrlogin_refusals_total"] == {("unavailable", "browser"): 1}
    command, answered = finished(spans)
    assert (command.attributes or {})["error.type"] == "Unavailable"
    assert not command.status.is_ok
    assert (answered.attributes or {})["error.type"] == "unavailable"
    assert not answered.status.is_ok
    assert command.events == answered.events == ()  # no exception with its text


JSON = (("content-type", "application/json"), ("sec-fetch-site", "same-origin"))

WORKER = """
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
import sys
from secrets import token_bytes
from qrlogin import MemoryStore, QRLogin
from qrlogin.contrib.prometheus import Metrics
from qrlogin.testing import Browser, Phone
from qrlogin.wire import Endpoint, Person

if sys.argv[1:] == ["export"]:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    print(generate_latest(registry).decode())
else:
    qr = QRLogin(MemoryStore(), secret_keys=[token_bytes(32)], verification_uri="https://example.com/qr")
    Metrics().observe(Endpoint(qr, max_waiting=8))
    browser = Browser(qr).begin()
    Phone(qr, person=Person("42", name="maria@example.com")).approve(browser)
    browser.redeem()
"""


def test_several_workers_add_up_in_the_multiprocess_mode_of_prometheus(tmp_path: Path) -> None:
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", WORKER, *arguments],
            env=env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    run()
    run()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(run("export"))
        for sample in family.samples
    }
    assert samples["qrlogin_events_total", "redeemed"] == 2
    assert samples["qrlogin_time_to_scan_seconds_count",] == 2
    assert samples["qrlogin_store_seconds_count", "redeem"] == 2


# OpenTelemetry


def provider(exporter: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def finished(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [*exporter.get_finished_spans()]


@pytest.mark.parametrize("name", SITES)
def test_each_request_is_a_span_and_its_commands_are_spans_in_it(name: str) -> None:
    exporter = InMemorySpanExporter()
    secrets = play(name, Traces(provider(exporter)))
    spans = finished(exporter)
    by_id = {span.context.span_id: span for span in spans if span.context}
    commands = [span for span in spans if span.name.startswith("qrlogin.store ")]
    assert len(commands) >= 15
    for span in commands:
        assert span.parent is not None, span.name
        assert by_id[span.parent.span_id].name.startswith(("qrlogin browser", "qrlogin phone"))
    requests = {span.name: span for span in spans if span not in commands}
    assert requests.keys() == {
        "qrlogin browser POST begin",
        "qrlogin browser POST {login_id}/redeem",
        "qrlogin browser POST {login_id}/cancel",
        "qrlogin browser GET {login_id}",
        "qrlogin browser POST",  # there is no such path
        *(f"qrlogin phone POST {act}" for act in ("scan", "confirm", "release", "deny")),
    }
    redeem = requests["qrlogin browser POST {login_id}/redeem"]
    assert dict(redeem.attributes or {}) == {
        "qrlogin.side": "browser",
        "http.request.method": "POST",
        "http.route": "{login_id}/redeem",
        "http.response.status_code": 200,
    }
    refused = [span for span in spans if "error.type" in (span.attributes or {})]
    assert [(span.attributes or {})["error.type"] for span in refused] == [
        "expired",
        "unauthenticated",
        "not_found",
    ]
    events = [event.name for span in spans for event in span.events]
    assert sorted(set(events)) == [
        *("qrlogin.begun", "qrlogin.cancelled", "qrlogin.confirmed", "qrlogin.denied"),
        *("qrlogin.redeemed", "qrlogin.released", "qrlogin.scanned"),
    ]
    assert_nothing_leaks("".join(span.to_json() for span in spans), secrets)


class Collector(BaseHTTPRequestHandler):
    """An OpenTelemetry collector: it takes OTLP over HTTP."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_spans_reach_a_collector_over_otlp() -> None:
    received = list[ExportTraceServiceRequest]()
    handler = type("Here", (Collector,), {"received": received})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{server.server_port}/v1/traces")
        traces = provider(exporter)
        try:
            with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
                endpoint = Endpoint(qr, max_waiting=1)
                Traces(traces).observe(endpoint)
                endpoint.browser(Request("POST", "begin", headers=JSON, body=b"{}"))
        finally:
            traces.shutdown()
            server.shutdown()
            thread.join()
    spans = [
        span
        for each in received
        for resource in each.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in spans] == ["qrlogin.store begin", "qrlogin browser POST begin"]
    assert spans[0].parent_span_id == spans[1].span_id
    assert [event.name for event in spans[1].events] == ["qrlogin.begun"]


# Observers


def test_without_an_observer_the_endpoint_and_its_login_are_as_they_were_made() -> None:
    """So an application without metrics pays nothing for them."""
    store = MemoryStore()
    qr = QRLogin(store, secret_keys=[KEY], verification_uri=URI)
    endpoint = Endpoint(qr, max_waiting=1)
    before = dict(vars(endpoint)), dict(vars(qr))
    assert "_respond" not in vars(endpoint)
    assert qr._store is store
    Observer().observe(endpoint)
    changed = {name for name, value in vars(endpoint).items() if before[0].get(name) is not value}
    changed |= {name for name, value in vars(qr).items() if before[1].get(name) is not value}
    assert changed == {"_respond", "_unrouted", "_store", "_on_event"}
    assert vars(qr)["_store"]._records is store._records  # what it has beyond the protocol


def test_two_observers_and_the_own_function_of_an_application_see_each_event_once() -> None:
    class Seeing(Observer):
        def __init__(self) -> None:
            super().__init__()
            self.names = list[str]()

        def event(self, event: Event) -> None:
            self.names.append(event.name)

    own = list[str]()

    def failing(event: Event) -> None:
        own.append(event.name)
        raise RuntimeError("the application's function fails")

    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=failing)
    one, other = Seeing(), Seeing()
    native, again = Endpoint(qr, max_waiting=1), Endpoint(qr, Native(qr.core), max_waiting=1)
    for observer in (one, other):
        observer.observe(native, again, qr)
    qr.begin()
    assert own == one.names == other.names == ["begun"]


def test_the_own_awaited_function_of_an_application_is_still_awaited() -> None:
    seen, own = list[str](), list[str]()

    async def on_event(event: Event) -> None:
        await asyncio.sleep(0)
        own.append(event.name)

    class Seeing(Observer):
        def event(self, event: Event) -> None:
            seen.append(event.name)

    async def begin() -> None:
        async with AsyncQRLogin(
            AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, on_event=on_event
        ) as qr:
            Seeing().observe(qr)
            await qr.begin()

    asyncio.run(begin())
    assert seen == own == ["begun"]


# The docs and the dashboard

ROOT = Path(__file__).parents[2]
DASHBOARD = files("qrlogin.contrib") / "grafana.json"


def test_the_docs_list_every_metric_with_its_labels_and_every_attribute(
    registry: CollectorRegistry,
) -> None:
    exporter = InMemorySpanExporter()
    play("flask", Metrics(registry))
    play("asgi", Traces(provider(exporter)))
    page = (ROOT / "docs" / "observability.md").read_text("utf-8")
    listed = {
        name: set(re.findall(r"`(event|command|side|reason)`", labels))
        for name, labels in re.findall(r"^\| `(qrlogin_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    }
    found = {
        family.name + ("_total" if family.type == "counter" else ""): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in registry.collect()
    }
    assert listed == found | {"qrlogin_store_errors_total": {"command"}}  # none has happened
    attributes = {key for span in finished(exporter) for key in span.attributes or {}}
    attributes |= {
        key
        for span in finished(exporter)
        for event in span.events
        for key in event.attributes or {}
    }
    assert [each for each in sorted(attributes) if f"`{each}`" not in page] == []


def test_every_query_of_the_dashboard_names_metrics_and_labels_that_exist(
    registry: CollectorRegistry,
) -> None:
    play("flask", Metrics(registry))
    labels = dict[str, set[str]]()
    for family in registry.collect():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    labels["qrlogin_store_errors_total"] = {"command"}  # none has happened
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    assert len(queries) >= 10
    used = set[str]()
    for query in queries:
        for name, selector in re.findall(r"(qrlogin_\w+)(?:\{([^}]*)\})?", query):
            assert name in labels, query
            used.add(re.sub(r"_(bucket|count|sum|total)$", "", name))
            asked = re.findall(r"(\w+)(?:=~|!=|=)", selector)
            assert set(asked) <= labels[name], query
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            names = re.findall(r"qrlogin_\w+", query)
            known = set[str]().union(*(labels[name] for name in names))
            assert {each.strip() for each in grouped.split(",")} <= known, query
        assert query.count("(") == query.count(")")
    exist = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in labels}
    assert used == exist, "each metric is in a panel"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", SITES)
def test_an_observer_that_fails_is_logged_once_and_no_login_fails(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As prometheus_client does when its folder for several processes is gone, or its disk full."""

    class Broken(Observer):
        def __init__(self, breaks: str) -> None:
            super().__init__()
            self._breaks = breaks

        def _break(self, where: str) -> None:
            if where == self._breaks:
                raise OSError("no space left on device")

        def event(self, event: Event) -> None:
            self._break("event")

        @contextmanager
        def command(self, name: str) -> Iterator[Callable[[str], object]]:
            self._break("before")
            try:
                yield lambda verdict: self._break("verdict")
            finally:
                self._break("after")

        @contextmanager
        def request(self, side: str, method: str, route: str) -> Iterator[Callable[[int], object]]:
            self._break("before")
            yield lambda status: self._break("status")
            self._break("after")

        def refusal(self, side: str, error: QRLoginError) -> None:
            self._break("refusal")

    for breaks in ("event", "before", "verdict", "after", "status", "refusal"):
        caplog.clear()
        play(name, Broken(breaks))
        logged = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert 1 <= len(logged) <= 3, f"{breaks}: {logged}"
        assert {*logged} == {"Broken failed; logins go on"}
