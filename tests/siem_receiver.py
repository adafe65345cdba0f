"""Receivers of the audit log over HTTP, which stumble on purpose.

usage: siem_receiver.py PORT FOLDER KEY

Shapes: Elasticsearch's /_bulk, Splunk's /services/collector/event and /ack, OTLP's /v1/logs (read with PyPI's
opentelemetry-proto), and /hook (checked with PyPI's standardwebhooks and KEY). What a receiver takes is appended to
FOLDER/<name>.jsonl, one {"dedup", "record"} a line; what it finds wrong to FOLDER/wrong.

Of the requests to each path, every fifth is answered 503, and every fifth is taken and then the connection breaks off
without an answer, which is the worst that can happen. Elasticsearch is also too busy for every seventh document once.
"""

import collections
import http.server
import json
import pathlib
import sys
import threading

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from standardwebhooks import Webhook

port, folder, key = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
counts = collections.Counter()
known, refused = set(), set()
acks = {}


def keep(name, dedup, record):
    with (folder / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps({"dedup": dedup, "record": record}) + "\n")


def wrong(text):
    with (folder / "wrong").open("a") as file:
        file.write(text + "\n")


def bulk(handler, body):
    lines = [json.loads(line) for line in body.decode().splitlines()]
    items = []
    for action, document in zip(lines[::2], lines[1::2]):
        dedup = action["create"]["_id"]
        if action["create"]["_index"] != "audit":
            wrong("index")
        if dedup in known:
            status = 409
        elif len(known) % 7 == 6 and dedup not in refused:
            refused.add(dedup)
            status = 429
        else:
            known.add(dedup)
            keep("elastic", dedup, document)
            status = 201
        items.append({"create": {"_id": dedup, "status": status}})
    return 200, {"errors": any(item["create"]["status"] > 201 for item in items), "items": items}


def splunk(handler, body):
    if handler.headers["Authorization"] != "Splunk sesame":
        return 403, {"text": "Invalid token", "code": 4}
    if not handler.headers["X-Splunk-Request-Channel"]:
        return 400, {"text": "Data channel is missing", "code": 10}
    decoder, text, at = json.JSONDecoder(), body.decode(), 0
    while at < len(text):
        event, at = decoder.raw_decode(text, at)
        keep("splunk", event["fields"]["dedup"], event["event"])
    number = len(acks)
    acks[number] = 0
    return 200, {"text": "Success", "code": 0, "ackId": number}


def acknowledge(handler, body):
    answer = {}
    for number in json.loads(body)["acks"]:
        acks[number] += 1
        answer[str(number)] = acks[number] > 1
    return 200, {"acks": answer}


def otlp(handler, body):
    request = ExportLogsServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_logs:
        service = {one.key: one.value.string_value for one in resource.resource.attributes}
        if service.get("service.name") != "fortissimo":
            wrong("resource")
        for scope in resource.scope_logs:
            for record in scope.log_records:
                attributes = {one.key: one.value for one in record.attributes}
                event = json.loads(record.body.string_value)
                if record.time_unix_nano // 1_000_000 != event["time"] or not 1 <= record.severity_number <= 24:
                    wrong("time or severity")
                if record.event_name != event["metadata"]["event_code"]:
                    wrong("event name")
                index = attributes.get("fortissimo.log.index")
                if event["metadata"].get("sequence") != (index.int_value if index else None):
                    wrong("index")
                keep("otlp", attributes["fortissimo.dedup"].string_value, event)
    return 200, None


def hook(handler, body):
    try:
        events = Webhook(key).verify(body.decode(), dict(handler.headers.items()))
    except Exception as error:
        wrong(f"signature: {error}")
        return 401, {}
    for event in events if isinstance(events, list) else [events]:
        if event["specversion"] != "1.0" or not event["source"]:
            wrong("cloud event")
        keep("webhook", event["id"], event["data"])
    return 204, None


PATHS = {
    "/_bulk": bulk,
    "/services/collector/event": splunk,
    "/services/collector/ack": acknowledge,
    "/v1/logs": otlp,
    "/hook": hook,
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            counts[self.path] += 1
            turn = counts[self.path] % 5
            if turn == 1:
                return self.answer(503, {"text": "busy"})
            status, answer = PATHS[self.path](self, body)
        if turn == 3:
            self.close_connection = True
            return
        self.answer(status, answer)

    def answer(self, status, answer):
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
