"""The naive design, to be measured against: each request runs the whole prompt and computes every position's logits.

`python -m bench.seed FOLDER PORT` answers POST {"token_ids", "top_k"} over HTTP, one request at a time.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    """Serves until it is ended."""
    folder, port = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([asked["token_ids"]])).logits[0, -1]
            best = logits.softmax(-1).topk(asked["top_k"])
            candidates = [
                {"token_id": i, "probability": p}
                for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
            body = json.dumps({"candidates": candidates}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the benchmark prints."""

    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
