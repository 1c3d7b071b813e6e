"""A daemon for the time of a script, and what `sway score` answers in process."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SWAY = os.environ.get("SWAY", str(ROOT / "target" / "release" / "sway"))

DEMO = ("probes/demo/base", "probes/demo/healthy")
TALKER = ("tests/talker/base", "tests/talker/healthy")

SUITE = """version = 1
[model]
base = '{base}'
adapter = '{adapter}'
[[probe]]
name = "moved"
kind = "delta_kl"
prompts = ["a"]
"""


@contextmanager
def daemon(models, folder):
    """The address of a daemon with a base and its adapter warm; `folder` is for the suite that names them."""
    suite = Path(folder) / "suite.toml"
    suite.write_text(SUITE.format(base=ROOT / models[0], adapter=ROOT / models[1]))
    command = [SWAY, "serve", "--quiet", "--listen", "127.0.0.1:0", "--preload", str(suite)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline().strip()
            assert line.startswith("listening on http://"), line
            yield line.removeprefix("listening on ")
        finally:
            process.terminate()


def score(models, requests):
    """The answers of `sway score` to requests, in their order."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [SWAY, "score", "--base", models[0], "--adapter", models[1]]
    told = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


def check(what, got, want):
    """Exactly equal, or the script ends."""
    assert got == want, f"{what}: {got!r} is not {want!r}"
    print(f"ok  {what}")
