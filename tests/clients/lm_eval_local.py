"""lm-eval's `local-completions` against a daemon: its log-likelihoods and accuracies are those of `sway score` in process."""

import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

from importlib.metadata import version
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager

from sway import DEMO, ROOT, check, daemon, score

TASKS = ["demo_preferences", "demo_facts"]


def evaluate(url, view, tokenized):
    return lm_eval.simple_evaluate(
        model="local-completions",
        model_args={
            "model": view,
            "base_url": f"{url}/v1/completions",
            "tokenizer": str(ROOT / DEMO[0]),
            "tokenizer_backend": "huggingface",
            "tokenized_requests": tokenized,
            "num_concurrent": 4,
            "max_length": 512,
        },
        tasks=TASKS,
        task_manager=TaskManager(include_path=str(Path(__file__).parent), include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )


def likelihoods(view, docs):
    """(log-likelihood, is it the greedy choice) of both endings of each document."""
    pairs = [(doc["prompt"], doc[ending]) for doc in docs for ending in ("chosen", "rejected")]
    lines = [{"op": "logprob_of", "view": view, "prompt": prompt, "completion": ending} for prompt, ending in pairs]
    lines += [{"op": "token_logprobs", "view": view, "prompt": prompt + ending, "top": 1} for prompt, ending in pairs]
    answers = score(DEMO, lines)
    told = []
    for of, tokens in zip(answers[: len(pairs)], answers[len(pairs) :], strict=True):
        tops = [top[0]["logprob"] for top in tokens["top_logprobs"][-of["num_tokens"] :]]
        told.append((sum(of["logprobs"]), of["logprobs"] == tops))
    return told


def compare(told, view, tokenized):
    asked = f"{view}, prompts as {'token ids' if tokenized else 'texts'}"

    samples = sorted(told["samples"]["demo_preferences"], key=lambda sample: sample["doc_id"])
    got = [tuple(resp) for sample in samples for resp in sample["filtered_resps"]]
    want = likelihoods(view, [sample["doc"] for sample in samples])
    check(f"{asked}: {len(want)} log-likelihoods, and whether they are greedy", got, want)
    accuracy = sum(want[2 * i][0] > want[2 * i + 1][0] for i in range(len(samples))) / len(samples)
    lm = told["results"]["demo_preferences"]["acc,none"]
    print(f"    accuracy: lm-eval {lm}, sway score {accuracy}")
    check(f"{asked}: accuracy", lm, accuracy)

    samples = sorted(told["samples"]["demo_facts"], key=lambda sample: sample["doc_id"])
    line = {"op": "generate", "view": view, "max_new_tokens": 8}
    written = score(DEMO, [line | {"prompt": sample["doc"]["prompt"]} for sample in samples])
    want = [one["text"].split(".")[0] for one in written]
    check(f"{asked}: {len(want)} texts up to a stop string", [sample["filtered_resps"][0] for sample in samples], want)
    matches = sum(text == sample["doc"]["gold"] for text, sample in zip(want, samples, strict=True)) / len(samples)
    lm = told["results"]["demo_facts"]["exact_match,none"]
    print(f"    exact matches: lm-eval {lm}, sway score {matches}")
    check(f"{asked}: exact matches", lm, matches)


def main():
    os.chdir(ROOT)
    print(f"lm_eval {version('lm_eval')}")
    with tempfile.TemporaryDirectory() as datasets:
        os.environ["HF_DATASETS_CACHE"] = datasets
        for view in ("base", "ft"):
            for tokenized in (True, False):
                # Each begins with an engine that knows no answer.
                with tempfile.TemporaryDirectory() as folder, daemon(DEMO, folder) as url:
                    compare(evaluate(url, view, tokenized), view, tokenized)


if __name__ == "__main__":
    main()
