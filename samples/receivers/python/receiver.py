"""Receives Saldo's webhooks, and believes only what Saldo has signed.

    pip install standardwebhooks==1.1.0
    WEBHOOK_SECRET=whsec_... PORT=9000 python3 receiver.py
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 64 * 1024

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
# Better a unique column, written in the same commit as what the event changes.
seen = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            return self.answer(413)
        # The bytes as they came: what is parsed and printed again has another signature.
        body = self.rfile.read(length)
        try:
            event = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            return self.answer(400)
        # An event may come twice; its id tells.
        event_id = self.headers["webhook-id"]
        if event_id not in seen:
            seen.add(event_id)
            # A test tells of no purchase.
            purchase = event.get("transaction", {})
            words = [event["event"], purchase.get("reference", "-"), purchase.get("status", "-")]
            print(*words, flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_request(self, code="-", size="-"):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
