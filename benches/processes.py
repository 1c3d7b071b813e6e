#!/usr/bin/env python3
"""Measures sway against the Python peer, as whole processes that take turns in one run.

    PEER/bin/python benches/processes.py target/release/sway MODEL_DIR
    PEER/bin/python benches/processes.py target/release/sway MODEL_DIR --only f32 memory --rounds 5

Run it with the interpreter of the environment that has the peer (see README.md beside this file); it
needs nothing but the standard library itself. Each figure that has a target is printed next to it; the
last line of the output is JSON with every figure. The exit code is 1 where a process failed, and says
nothing about targets.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
PEER_DTYPES = {"f32": "fp32", "bf16": "bf16"}
SEED = 7

Row = dict[str, Any]
Side = Literal["sway", "peer"]


@dataclass(frozen=True)
class Goal:
    sign: Literal[">=", "<="]
    limit: float
    aim: float | None = None

    def met(self, value: float) -> bool:
        return value >= self.limit if self.sign == ">=" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}" + (f", aim {self.aim:g}" if self.aim is not None else "")


@dataclass(frozen=True)
class Figure:
    name: str
    value: Any
    goal: Goal | None = None

    def line(self, measure: str) -> str:
        text = "not told" if self.value is None else shown(self.value)
        if self.goal is None:
            verdict = ""
        else:
            verdict = f"   target {self.goal}: " + ("met" if self.goal.met(self.value) else "MISSED")
        return f"{measure:9} {self.name:41} {text}{verdict}"


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return str(value)


@dataclass(frozen=True)
class Run:
    """One process of one side, from its start to its end."""

    process_s: float
    # What all its threads used; beside `process_s` it tells a busy machine from a slow program.
    cpu_s: float
    peak_bytes: int
    stats: Row
    # By id.
    answers: dict[Any, Row]

    @property
    def answering_s(self) -> float:
        """Without load, by the side's own clock."""
        return self.stats["scoring_wall_s"] if "scoring_wall_s" in self.stats else self.stats["answering_s"]

    @property
    def unanswered(self) -> int:
        return sum("error" in row for row in self.answers.values())


class ChildFailed(Exception):
    pass


def read_rows(path: Path) -> list[Row]:
    # By line feeds alone: a text may hold other separators, which `str.splitlines` would split at.
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@dataclass
class Bench:
    sway_binary: Path
    model: Path
    requests: Path
    rounds: int
    linear_lines: int
    trace_seconds: float
    folder: Path
    # The last run of a side on the requests, by side and dtype: measures after the first look at it again.
    scored: dict[tuple[Side, str], Run] = field(default_factory=dict)

    def child(self, command: list[str | Path], stdout: Path, accepted: tuple[int, ...]) -> tuple[float, float, int]:
        """Seconds, seconds of processor time, and peak bytes of a process."""
        errors = self.folder / "stderr"
        with stdout.open("wb") as out, errors.open("wb") as err:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            # Not `Popen.wait`: only this gives the memory and the processor time of this one child.
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accepted:
            said = errors.read_text(errors="replace").strip()
            raise ChildFailed(f"{' '.join(map(str, command))}\nexit code {process.returncode}\n{said}")
        # macOS counts in bytes, Linux in kilobytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit

    def sway(self, requests: Path, dtype: str = "f32", trace: Path | None = None) -> Run:
        answers, stats = self.folder / "sway.jsonl", self.folder / "stats.json"
        command: list[str | Path] = [self.sway_binary, "score", "--base", self.model / "base"]
        command += ["--adapter", self.model / "adapter", "--dtype", dtype, "--stats", stats]
        command += ["--trace", trace] if trace else []
        # 1: some lines were not answered, which is counted here.
        figures = self.child([*command, requests], answers, accepted=(0, 1))
        rows = {row["id"]: row for row in read_rows(answers)}
        return Run(*figures, stats=json.loads(stats.read_text()), answers=rows)

    def peer(self, requests: Path, dtype: str = "f32") -> Run:
        answers, stats = self.folder / "peer.jsonl", self.folder / "peer-stats.json"
        command: list[str | Path] = [sys.executable, HERE / "peer.py", self.model, requests, answers]
        figures = self.child([*command, "--dtype", PEER_DTYPES[dtype]], stats, accepted=(0,))
        rows = {row["id"]: row for row in read_rows(answers)}
        return Run(*figures, stats=json.loads(stats.read_text().splitlines()[-1]), answers=rows)

    def peer_tokens(self) -> dict[Any, Row]:
        """Which tokens the peer scores of each completion. Its own process, so that nobody's time holds it."""
        answers = self.folder / "tokens.jsonl"
        command: list[str | Path] = [sys.executable, HERE / "peer.py", self.model, self.requests, answers, "--tokens"]
        self.child(command, self.folder / "tokens-stats.json", accepted=(0,))
        return {row["id"]: row for row in read_rows(answers)}

    def on_requests(self, side: Side, dtype: str) -> Run:
        """The fastest run of a side on the requests; runs it once where no measure has."""
        if (side, dtype) not in self.scored:
            self.scored[side, dtype] = (self.sway if side == "sway" else self.peer)(self.requests, dtype)
        return self.scored[side, dtype]

    def note(self, text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    def in_turn(self, rounds: int, first: Callable[[], Run], second: Callable[[], Run]) -> list[tuple[Run, Run]]:
        """Pairs of runs, of which each side goes first in every other round: whatever drifts meets both."""
        pairs = []
        for number in range(rounds):
            if number % 2 == 0:
                one = first()
                other = second()
            else:
                other = second()
                one = first()
            pairs.append((one, other))
            self.note(f"round {number + 1}: {one.process_s:.2f} s, {other.process_s:.2f} s")
        return pairs


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def against_peer(pairs: list[tuple[Run, Run]], goal: Goal) -> list[Figure]:
    """What every measure of (sway, peer) pairs tells."""
    ratios = [peer.process_s / sway.process_s for sway, peer in pairs]
    figures = [
        Figure("ratio", median(ratios), goal),
        Figure("ratio_of_rounds", ratios),
        Figure("ratio_without_load", median(peer.answering_s / sway.answering_s for sway, peer in pairs)),
    ]
    for name, runs in zip(("sway", "peer"), zip(*pairs, strict=True), strict=True):
        figures += [
            Figure(f"{name}_process_s", median(run.process_s for run in runs)),
            Figure(f"{name}_answering_s", median(run.answering_s for run in runs)),
            Figure(f"{name}_cores_busy", median(run.cpu_s / run.process_s for run in runs)),
            Figure(f"{name}_peak_mb", median(run.peak_bytes for run in runs) / 1e6),
        ]
    return figures


def differences(one: Row, other: Row) -> list[float]:
    """Of two answers to one request, in nats: the total of a completion, each token of a text, each token
    that either side lists of a distribution."""
    match one["op"]:
        case "logprob_of":
            pairs = [(one["logprob"], other["logprob"])]
        case "rolling_logprob":
            if len(one["logprobs"]) != len(other["logprobs"]):
                return [math.inf]
            pairs = list(zip(one["logprobs"], other["logprobs"], strict=True))
        case "next_token_dist":
            return listed_differences(one, other)
        case op:
            raise ValueError(f"unknown op {op!r}")
    return [gap(a, b) for a, b in pairs]


def gap(a: float, b: float) -> float:
    # A NaN would pass every comparison that looks for the worst.
    return abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf


def listed_differences(one: Row, other: Row) -> list[float]:
    a, b = (dict(zip(row["token_ids"], row["logprobs"], strict=True)) for row in (one, other))
    found = [gap(a[token], b[token]) for token in a.keys() & b.keys()]
    # What one side does not list is at most its least listed token: the difference is at least this.
    for mine, theirs in ((a, b), (b, a)):
        least = min(theirs.values())
        found += [max(0.0, mine[token] - least) for token in mine.keys() - theirs.keys()]
    return found


def compared(prefix: str, one: Run, other: Run, left_out: Iterable[Any] = ()) -> list[Figure]:
    skipped = set(left_out)
    worst: dict[str, float] = {}
    means = []
    for key, row in one.answers.items():
        if key in skipped or "error" in row or "error" in other.answers[key]:
            continue
        found = differences(row, other.answers[key])
        worst[row["op"]] = max(worst.get(row["op"], 0.0), *found)
        means.append(statistics.fmean(found))
    return [
        Figure(f"{prefix}_answers", len(means)),
        Figure(f"{prefix}_worst_nats", max(worst.values(), default=None)),
        # Of the mean of each answer, so that a distribution of 256 tokens weighs as much as a completion.
        Figure(f"{prefix}_mean_nats", statistics.fmean(means) if means else None),
        *(Figure(f"{prefix}_worst_nats_{op}", value) for op, value in sorted(worst.items())),
    ]


def counted_differently(bench: Bench, sway: Run) -> tuple[list[Any], list[Any]]:
    """Completions of which the sides score different tokens: because the tokenizer joins the end of the
    prompt to the completion, and for any other reason, which there should not be."""
    joined: list[Any] = []
    unexplained: list[Any] = []
    for key, tokens in bench.peer_tokens().items():
        row = sway.answers[key]
        if "error" not in row and row["token_ids"] != tokens["token_ids"]:
            (joined if tokens["merged"] else unexplained).append(key)
    return joined, unexplained


def scoring(bench: Bench, dtype: str, goal: Goal) -> list[Figure]:
    requests = bench.requests
    pairs = bench.in_turn(bench.rounds, lambda: bench.sway(requests, dtype), lambda: bench.peer(requests, dtype))
    # Of each side the run that the machine's other users slowed down the least.
    sway, peer = (min(runs, key=lambda run: run.process_s) for runs in zip(*pairs))
    bench.scored["sway", dtype], bench.scored["peer", dtype] = sway, peer
    joined, unexplained = counted_differently(bench, sway)
    return [
        *against_peer(pairs, goal),
        Figure("requests", len(peer.answers)),
        Figure("unanswered", sway.unanswered + len(peer.answers.keys() - sway.answers.keys()), Goal("<=", 0)),
        # The peer loses the token at the seam there, so the two answers are to different questions.
        Figure("counted_differently", joined),
        Figure("other_tokens_scored", len(unexplained), Goal("<=", 0)),
        *compared("sway_to_peer", sway, peer, left_out=joined),
        Figure("tokens_computed", sway.stats["tokens_computed"]),
        Figure("tokens_requested", sway.stats["tokens_requested"]),
    ]


def f32(bench: Bench) -> list[Figure]:
    return scoring(bench, "f32", Goal(">=", 6, aim=8))


def bf16(bench: Bench) -> list[Figure]:
    figures = scoring(bench, "bf16", Goal(">=", 4, aim=6))
    sides: tuple[Side, ...] = ("sway", "peer")
    for side in sides:
        half, full = bench.on_requests(side, "bf16"), bench.on_requests(side, "f32")
        figures += compared(f"{side}_to_its_f32", half, full)
    return figures


def first_question(bench: Bench) -> Path:
    question = next(row for row in read_rows(bench.requests) if row["op"] == "logprob_of")
    return write_rows(bench.folder / "one.jsonl", [{**question, "view": "ft"}])


def cold(bench: Bench) -> list[Figure]:
    one = first_question(bench)
    # Short runs: a few more of them cost little and steady the median.
    pairs = bench.in_turn(max(5, bench.rounds), lambda: bench.sway(one), lambda: bench.peer(one))
    return against_peer(pairs, Goal(">=", 8))


def distinct_lines(bench: Bench, name: str, lines: int, blocks: int = 1) -> Path:
    """Requests of one shape that share no beginnings but by chance. Every block deals out the same words
    anew, so ten blocks have ten times the tokens of one."""
    words_of_prompt, words_of_line = 12, 16
    texts = " ".join(row.get("text", row.get("prompt", "")) for row in read_rows(bench.requests))
    words = sorted(set(re.findall(r"\b[a-z]{3,12}\b", texts)))
    dice = random.Random(SEED)
    dealt = dice.choices(words, k=lines * words_of_line)
    rows: list[Row] = []
    for _ in range(blocks):
        dice.shuffle(dealt)
        for line in range(lines):
            drawn = dealt[line * words_of_line : (line + 1) * words_of_line]
            prompt, rest = " ".join(drawn[:words_of_prompt]), "".join(f" {word}" for word in drawn[words_of_prompt:])
            row: Row = {"id": len(rows), "view": "base" if line % 4 < 2 else "ft"}
            if line % 2 == 0:
                rows.append({**row, "op": "rolling_logprob", "text": prompt + rest})
            else:
                rows.append({**row, "op": "logprob_of", "prompt": prompt, "completion": rest})
    return write_rows(bench.folder / name, rows)


def linear(bench: Bench) -> list[Figure]:
    few = distinct_lines(bench, "few.jsonl", bench.linear_lines)
    many = distinct_lines(bench, "many.jsonl", bench.linear_lines, blocks=10)
    pairs = bench.in_turn(bench.rounds, lambda: bench.sway(few), lambda: bench.sway(many))
    # The load is the same for both, and would hide a time that grows faster than the requests.
    ratios = [(b.process_s - b.stats["load_s"]) / (a.process_s - a.stats["load_s"]) for a, b in pairs]
    peaks = [b.stats["peak_rss_bytes"] / a.stats["peak_rss_bytes"] for a, b in pairs]
    one, ten = pairs[-1]
    return [
        Figure("ratio_without_load", median(ratios), Goal("<=", 10.5)),
        Figure("ratio_of_rounds", ratios),
        Figure("ratio_of_processes", median(b.process_s / a.process_s for a, b in pairs)),
        Figure("ratio_of_tokens", ten.stats["tokens_computed"] / one.stats["tokens_computed"]),
        Figure("ratio_of_peaks", median(peaks), Goal("<=", 1.1)),
        Figure("unanswered", one.unanswered + ten.unanswered, Goal("<=", 0)),
        Figure("requests", [len(one.answers), len(ten.answers)]),
        Figure("tokens_of_a_request", one.stats["tokens_computed"] / len(one.answers)),
        Figure("process_s", [median(a.process_s for a, _ in pairs), median(b.process_s for _, b in pairs)]),
        Figure("peak_mb", [one.stats["peak_rss_bytes"] / 1e6, ten.stats["peak_rss_bytes"] / 1e6]),
    ]


def memory(bench: Bench) -> list[Figure]:
    peak = bench.on_requests("sway", "f32").stats["peak_rss_bytes"]
    weights = sum(
        path.stat().st_size for part in ("base", "adapter") for path in (bench.model / part).glob("*.safetensors")
    )
    return [
        Figure("beyond_weights_mb", (peak - weights) / 1e6, Goal("<=", 400)),
        Figure("peak_mb", peak / 1e6),
        Figure("weights_mb", weights / 1e6),
    ]


def generate(bench: Bench) -> list[Figure]:
    # Of everyday length: a long prompt would measure reading, which `f32` does.
    prompts = (row["prompt"] for row in read_rows(bench.requests) if 8 <= len(row.get("prompt", "")) <= 200)
    distinct = list(dict.fromkeys(prompts))[:32]
    asked = [
        {"id": f"{view}-{number}", "op": "generate", "view": view, "prompt": prompt, "max_new_tokens": 64}
        for number, prompt in enumerate(distinct)
        for view in ("base", "ft")
    ]
    requests = write_rows(bench.folder / "generate.jsonl", asked)
    pairs = bench.in_turn(bench.rounds, lambda: bench.sway(requests), lambda: bench.peer(requests))
    sway, peer = pairs[-1]
    both = [
        (sway.answers[key]["token_ids"], row["token_ids"])
        for key, row in peer.answers.items()
        if "error" not in sway.answers[key]
    ]
    # How many tokens agree before the first that does not.
    agreeing = [len(os.path.commonprefix([ours, theirs])) for ours, theirs in both if ours != theirs]
    return [
        *against_peer(pairs, Goal(">=", 6)),
        Figure("continuations", len(asked)),
        Figure("unanswered", sway.unanswered, Goal("<=", 0)),
        Figure("equal", sum(ours == theirs for ours, theirs in both)),
        Figure("tokens_before_first_difference", sorted(agreeing)),
        # Near each other, or the sides did not do the same work.
        Figure("sway_tokens", sum(len(ours) for ours, _ in both)),
        Figure("peer_tokens", sum(len(theirs) for _, theirs in both)),
    ]


def trace(bench: Bench) -> list[Figure]:
    trial = bench.sway(distinct_lines(bench, "trial.jsonl", bench.linear_lines))
    lines = max(1, round(bench.linear_lines * bench.trace_seconds / trial.answering_s))
    requests = distinct_lines(bench, "trace.jsonl", lines)
    written = bench.folder / "trace"

    def traced() -> Run:
        written.unlink(missing_ok=True)
        run = bench.sway(requests, trace=written)
        if len(read_rows(written)) != lines:
            raise ChildFailed(f"the trace holds {len(read_rows(written))} lines for {lines} requests")
        return run

    pairs = bench.in_turn(max(7, bench.rounds), lambda: bench.sway(requests), traced)
    ratios = [with_trace.process_s / without.process_s for without, with_trace in pairs]
    return [
        Figure("ratio", median(ratios), Goal("<=", 1.01)),
        Figure("ratio_of_rounds", ratios),
        # What the machine does by itself: a spread far above 1 % can't show a cost of 1 %.
        Figure("spread", max(ratios) - min(ratios)),
        # A neighbour on the machine only ever slows a run down: the fastest of each had the least of it.
        Figure("ratio_of_fastest", min(b.process_s for _, b in pairs) / min(a.process_s for a, _ in pairs)),
        Figure("ratio_of_processor_time", median(b.cpu_s / a.cpu_s for a, b in pairs)),
        Figure("requests", lines),
        Figure("process_s", [median(a.process_s for a, _ in pairs), median(b.process_s for _, b in pairs)]),
    ]


def best_product_rate() -> float:
    """What float32 products reach on this machine when they are all there is to do: the best of sway's and gemm's, GFLOP/s."""
    command = ["cargo", "bench", "--quiet", "--bench", "rate"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChildFailed(f"{' '.join(command)}: {done.stderr.strip()}")
    rates = json.loads(done.stdout.strip().splitlines()[-1])
    return max(rates["own_gflops"], rates["gemm_gflops"])


def share(bench: Bench) -> list[Figure]:
    best = best_product_rate()
    figures = [Figure("best_product_gflops", best)]
    dtypes = [dtype for dtype in PEER_DTYPES if dtype == "f32" or ("sway", dtype) in bench.scored]
    for dtype in dtypes:
        stats = bench.on_requests("sway", dtype).stats
        shares = ("product_share", "attention_share", "rest_share")
        figures += [Figure(f"{dtype}_{name}", stats[name]) for name in shares]
        rate = stats["product_flops"] / stats["scoring_wall_s"] / 1e9
        figures.append(Figure(f"{dtype}_gflops_of_scoring", rate))
        in_products = rate / stats["product_share"]
        # Weights are read at half the width in bf16, and a CPU may multiply them at another rate: the goal is for float32.
        goal = Goal(">=", 0.7) if dtype == "f32" else None
        figures.append(Figure(f"{dtype}_products_of_best_rate", in_products / best, goal))
    return figures


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    measure.__name__: measure for measure in (f32, bf16, cold, linear, memory, generate, trace, share)
}
SWAY_ALONE = {"linear", "memory", "trace", "share"}


def warm_up(bench: Bench, measures: Iterable[str]) -> None:
    """One small run of each side that nobody times: files come from the page cache for all that follow."""
    one = first_question(bench)
    bench.sway(one)
    if not SWAY_ALONE.issuperset(measures):
        bench.peer(one)


def report(measured: dict[str, list[Figure]], bench: Bench, load_before: list[float]) -> str:
    targets = {
        f"{name}.{figure.name}": {"target": str(figure.goal), "met": figure.goal.met(figure.value)}
        for name, figures in measured.items()
        for figure in figures
        if figure.goal is not None
    }
    return json.dumps(
        {
            "cores": os.cpu_count(),
            "load_average_before": load_before,
            "rounds": bench.rounds,
            "targets": targets,
            **{name: {figure.name: figure.value for figure in figures} for name, figures in measured.items()},
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sway", type=Path, metavar="SWAY_BINARY")
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="what make_model.py wrote")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES), metavar="NAME",
                        help="measures to take: " + ", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=Path, default=HERE / "requests.jsonl", help="other requests, for a trial")
    parser.add_argument("--linear-lines", type=int, default=150, help="requests of the shorter run of `linear`")
    parser.add_argument("--trace-seconds", type=float, default=4.0, help="about how long a run of `trace` takes")
    options = parser.parse_args()
    # Whether the machine was busy beforehand can't be told from the times.
    load_before = list(os.getloadavg())
    measured: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="sway-bench-") as folder:
        bench = Bench(options.sway.resolve(), options.model, options.requests, options.rounds, options.linear_lines,
                      options.trace_seconds, Path(folder))
        try:
            warm_up(bench, options.only)
            for name in (name for name in MEASURES if name in options.only):
                bench.note(name)
                measured[name] = MEASURES[name](bench)
                for figure in measured[name]:
                    print(figure.line(name), flush=True)
        except ChildFailed as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            # Whatever was measured before a failure or an interrupt took minutes: it is told.
            print(report(measured, bench, load_before), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
