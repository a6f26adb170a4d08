# SPDX-License-Identifier: Apache-2.0
"""
A collector of OTLP/HTTP in JSON on loopback, written on the published schema: what it takes, it has
parsed with the messages of tests/e2e/otlp, in which an unknown field is an error.
"""
import base64
import contextlib
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

import pytest

SCHEMA = pathlib.Path(__file__).parent / "otlp"
SERVICE = "opentelemetry/proto/collector/trace/v1/trace_service.proto"
MESSAGE = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
# JSON has these in hexadecimal where protobuf's own mapping has base64: OTLP 1.9, "JSON Protobuf
# Encoding".
IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


@functools.cache
def request_class():
    protobuf = pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    if not shutil.which("protoc"):
        pytest.skip("protoc is not installed")
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "set"
        subprocess.run(["protoc", f"--proto_path={SCHEMA}", "--include_imports",
                        f"--descriptor_set_out={out}", SERVICE], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    found = pool.FindMessageTypeByName(MESSAGE)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    assert protobuf
    return message_factory.MessageFactory(pool).GetPrototype(found)


def to_base64(value):
    """@value with its hexadecimal ids as protobuf's JSON has bytes; they must have their size."""
    if isinstance(value, list):
        return [to_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if key in IDS:
            assert item == item.lower() and len(item) == 2 * IDS[key], (key, item)
            assert int(item, 16) != 0, key
            result[key] = base64.b64encode(bytes.fromhex(item)).decode()
        else:
            result[key] = to_base64(item)
    return result


def parse(body):
    """The message; an exception where it is not of the schema."""
    cls = request_class()
    from google.protobuf import json_format
    return json_format.ParseDict(to_base64(json.loads(body)), cls())


def plain(value):
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return [plain(v) for v in found.values] if kind == "array_value" else found


def attributes(message):
    names = [pair.key for pair in message.attributes]
    assert len(names) == len(set(names)), f"an attribute twice: {names}"
    return {pair.key: plain(pair.value) for pair in message.attributes}


class Collector:
    """@answers: what the first requests get, each a function of the handler; then 200."""

    def __init__(self, answers=(), tls=None):
        self.spans, self.resources, self.headers, self.faults = [], [], [], []
        self.requests = 0
        self.answers = list(answers)
        self.always = None  # instead of 200
        self.release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # who hangs up

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True,
                                       kwargs={"poll_interval": 0.05})

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else self.always
        if answer:
            answer(handler)
            return
        try:
            assert handler.path == "/v1/traces", handler.path
            assert handler.headers["Content-Type"] == "application/json"
            message = parse(body)
            self.headers.append(dict(handler.headers))
            for group in message.resource_spans:
                self.resources.append(attributes(group.resource))
                for scope in group.scope_spans:
                    assert scope.scope.name == "purple"
                    self.spans += scope.spans
        except Exception as error:  # the test thread has to see it
            self.faults.append(f"{error!r}: {body[:4000]!r}")
        reply(200, b"{}")(handler)

    def named(self, name):
        """The spans of that name; every request so far was of the schema."""
        assert not self.faults, self.faults
        return [span for span in self.spans if span.name == name]

    def one(self, name):
        found = self.named(name)
        assert len(found) == 1, (name, [span.name for span in self.spans])
        return found[0]


def reply(status, body=b"", kind="application/json", **headers):
    def send(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
    return send


def raw(data):
    """Bytes that are no HTTP, and the end."""
    def send(handler):
        handler.wfile.write(data)
        handler.close_connection = True
    return send


@contextlib.contextmanager
def collector(*answers, tls=None):
    request_class()  # or skip
    c = Collector(answers, tls)
    c.thread.start()
    try:
        yield c
    finally:
        c.release.set()
        c.server.shutdown()
        c.server.server_close()
        c.thread.join(10)
