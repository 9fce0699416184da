"""Receives webhooks on loopback and verifies them with the reference library: prints its port, then one line of
JSON for each request, and answers 204 to what is verified and 401 to everything else."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(sys.argv[1])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            seen = {"verified": True, "payload": webhook.verify(body, dict(self.headers))}
        except WebhookVerificationError as error:
            seen = {"verified": False, "error": str(error)}
        print(json.dumps(seen), flush=True)
        self.send_response(204 if seen["verified"] else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
