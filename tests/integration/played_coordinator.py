"""A small server that plays a coordinator, or a proxy in front of a coordinator. The test gives the lines of the answers."""
import http.server
import json
import threading


def value(index, what):
    return {"type": "result", "index": index, "value": what}


def cancelled(index, sent):
    return {"type": "error", "index": index, "error": {"name": "cancelled", "cause": "the job ended", "sent": sent}}


END = {"type": "end", "status": "succeeded"}
DELETED = {"type": "end", "status": "cancelled", "reason": "it was cancelled by a client"}
DRAINED = {"type": "end", "status": "cancelled", "reason": "the coordinator is shutting down", "draining": True}
START = {"type": "start", "id": "0195"}


def serve(test, *answers, idempotent=None, tasks_status=200):
    """Serves until the end of the test. Each answer is for one POST, and the last answer is also for all later POSTs. An
    answer is a list of lines, or a status with a content type, or a function that gets the body and returns one of these two.
    A line of type bytes is sent unchanged. Returns the URL of the server, and the list to which the server adds the body of
    each POST. The only task is `x`."""
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def send(self, status, content_type, body):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            tasks = [{"name": "x", "mode": "stream", "idempotent": idempotent}]
            self.send(tasks_status, "application/json", json.dumps({"tasks": tasks}).encode())

        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = answers[min(len(bodies), len(answers)) - 1]
            answer = answer(bodies[-1]) if callable(answer) else answer
            if isinstance(answer, tuple):
                self.send(*answer, b'{"detail":"no"}')
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in answer:
                data = line if isinstance(line, bytes) else json.dumps(line, separators=(",", ":")).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if answer and isinstance(answer[-1], dict) and answer[-1]["type"] == "end":
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}", bodies
