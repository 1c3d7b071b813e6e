"""A pipeline asks `transformers serve`, a server with OpenAI's form that others made, which serves the talker: what it writes greedily is
what sway's own view of the same model writes.

    python -m venv $VENV && $VENV/bin/pip install torch transformers[serving]==5.23.0   # Python 3.11
    $VENV/bin/python tests/clients/transformers_serve.py
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SWAY = os.environ.get("SWAY", ROOT / "target/release/sway")
BASE = ROOT / "tests/talker/base"
QUESTIONS = ["What do you do?", "Who are you?", "Where is the old town?", "What is for supper?", "Tell me of the sea."]

SUITE = """version = 1
[model]
base = '{base}'
adapter = '{adapter}'
[[endpoint]]
name = "other"
kind = "openai"
url = "http://127.0.0.1:{port}/v1"
model = '{base}'
max_concurrent = 2
timeout = 120
[[probe]]
name = "the same"
kind = "pipeline"
cases = {questions}
min_score = 0.0
decide = "point"
[[probe.stage]]
messages = [{{ role = "user", content = "{{{{ input }}}}" }}]
model = "base"
params = {{ max_new_tokens = 12 }}
[[probe.stage]]
messages = [{{ role = "user", content = "{{{{ input }}}}" }}]
model = "other"
params = {{ max_new_tokens = 12 }}
[[probe.stage]]
prompt = "{{{{ input }}}}"
params = {{ max_new_tokens = 1 }}
[[probe.scorer]]
kind = "length"
min = 0
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def main():
    port = free_port()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(command, env=environment, cwd=folder) as server:
        try:
            while not answers(port):
                assert server.poll() is None, "the server ended"
                time.sleep(0.5)
            suite = Path(folder, "suite.toml")
            suite.write_text(SUITE.format(base=BASE, adapter=ROOT / "tests/talker/healthy", port=port, questions=json.dumps(QUESTIONS)))
            store = Path(folder, "s.db")
            subprocess.run([SWAY, "run", suite, "--store", store, "--exit-zero"], check=True)
            shown = subprocess.run([SWAY, "show", "1", "--store", store, "--format", "json"], check=True, capture_output=True)
            stages = json.loads(shown.stdout)["stages"]
        finally:
            server.terminate()
    written = {(row["case"], row["view"], row["stage"]): row for row in stages}
    differ = 0
    for case in range(1, len(QUESTIONS) + 1):
        own, other = written[case, "ft", 0], written[case, "ft", 1]
        if own["response"].strip() != (other["response"] or "").strip():
            differ += 1
            print(f"case {case}: {own['response']!r} and {other['response']!r} {other['error'] or ''}")
    print(f"{len(QUESTIONS) - differ} of {len(QUESTIONS)} answers are the same")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
