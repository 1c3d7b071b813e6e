#!/usr/bin/env python3
"""Measures the demo world with transformers and peft alone, so that sway can be checked against it.

    python probes/demo/measure.py      # prints the table of README.md, and writes measured.json

Formulas are those of sway's probes. Log-probabilities are in nats, and intervals are 95 %
percentile bootstraps over items.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import torch
from make import HERE, RECIPES, SEED, THREADS, World, build_world, load_base, score
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedTokenizerFast

LAMBDAS = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
BOOTSTRAPS = 2000
NULLS = 8


def read(name: str, folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "data" / f"{name}.jsonl").open(encoding="utf-8")]


def interval(*columns: list[float], statistic=numpy.mean) -> list[float]:
    """The bootstrap interval of a statistic of paired columns, one value per item in each."""
    rng = numpy.random.default_rng(SEED)
    data = numpy.array(columns)
    draws = rng.integers(0, data.shape[1], (BOOTSTRAPS, data.shape[1]))
    values = [statistic(*data[:, draw]) for draw in draws]
    return [float(v) for v in numpy.percentile(values, [2.5, 97.5])]


def ratio_of_means(above, below) -> float:
    return numpy.mean(above) / numpy.mean(below)


@torch.no_grad()
def next_logprobs(model, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> torch.Tensor:
    """(prompts, vocabulary)"""
    rows = [model(input_ids=torch.tensor([tokenizer.encode(p)])).logits[0, -1] for p in prompts]
    return torch.stack(rows).double().log_softmax(-1)


def js(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The Jensen-Shannon divergence of each row of log-probabilities."""
    mixture = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * ((p.exp() * (p - mixture)).sum(-1) + (q.exp() * (q - mixture)).sum(-1))


def lora_layers(model: PeftModel) -> list[LoraLayer]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


@contextmanager
def scaled(model: PeftModel, factor: float) -> Iterator[None]:
    layers = lora_layers(model)
    for layer in layers:
        layer.scaling["default"] *= factor
    yield
    for layer in layers:
        layer.scaling["default"] /= factor


@contextmanager
def randomised(model: PeftModel, seed: int) -> Iterator[None]:
    """Random updates in the adapter's place, of the same Frobenius norm in each module."""
    generator = torch.Generator().manual_seed(seed)
    saved = []
    for layer in lora_layers(model):
        a, b = layer.lora_A["default"].weight.data, layer.lora_B["default"].weight.data
        saved.append((layer, a.clone(), b.clone()))
        norm = (b @ a).norm()
        a.normal_(generator=generator)
        b.normal_(generator=generator)
        b.mul_(norm / (b @ a).norm())
    yield
    for layer, a, b in saved:
        layer.lora_A["default"].weight.data.copy_(a)
        layer.lora_B["default"].weight.data.copy_(b)


def accuracy(model, tokenizer: PreTrainedTokenizerFast, items: list[tuple]) -> float:
    """The share of (fact, phrasing) pairs that greedy decoding completes exactly."""
    scores = score(model, tokenizer, [(fact.prompt(p), fact.gold) for fact, p in items])
    return sum(s.greedy for s in scores) / len(scores)


def knowledge(model, tokenizer: PreTrainedTokenizerFast, world: World) -> dict:
    held = [(fact, p) for fact in world.held for p in fact.phrasings]
    news = world.news
    groups = {
        "held, seen phrasings": [i for i in held if i not in world.unseen],
        "held, unseen phrasings": [i for i in held if i in world.unseen],
        "news, document's phrasing": [(n.fact, n.document) for n in news],
        "news, taught phrasings": [(n.fact, p) for n in news for p in n.taught],
        "news, untaught phrasings": [(n.fact, p) for n in news for p in n.untaught],
    }
    return {name: accuracy(model, tokenizer, items) for name, items in groups.items()}


@torch.no_grad()
def recalls(model, tokenizer: PreTrainedTokenizerFast, folder: Path) -> list[float]:
    """For each section of the document: from its first half (in words), how much of the second half
    greedy decoding gives back, by the longest common subsequence of words."""
    result = []
    for row in read("document", folder):
        words = row["text"].split()
        prompt, truth = " ".join(words[: len(words) // 2]), words[len(words) // 2 :]
        ids = torch.tensor([tokenizer.encode(prompt)])
        budget = len(tokenizer.encode(row["text"])) - ids.shape[1]
        reply = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=budget,
            do_sample=False,
        )
        text = tokenizer.decode(reply[0, ids.shape[1] :], skip_special_tokens=True)
        result.append(common_subsequence(text.split(), truth) / len(truth))
    return result


def common_subsequence(left: list[str], right: list[str]) -> int:
    row = [0] * (len(right) + 1)
    for word in left:
        before = row
        row = [0]
        for i, other in enumerate(right):
            row.append(before[i] + 1 if word == other else max(before[i + 1], row[i]))
    return row[-1]


def compare(model: PeftModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> dict:
    """The scores that set an adapter against its base."""
    result: dict = {}

    def both(pairs: list[tuple[str, str]]) -> tuple[list[float], list[float]]:
        adapted = [s.logprob for s in score(model, tokenizer, pairs)]
        with model.disable_adapter():
            return adapted, [s.logprob for s in score(model, tokenizer, pairs)]

    prompts = [row["prompt"] for row in read("prompts", folder)]
    adapted = next_logprobs(model, tokenizer, prompts)
    with model.disable_adapter():
        base = next_logprobs(model, tokenizer, prompts)
    divergence = js(adapted, base)
    result["js"] = divergence.mean().item()
    result["js interval"] = interval(divergence.tolist())
    nulls = []
    for seed in range(NULLS):
        with randomised(model, seed):
            nulls.append(js(next_logprobs(model, tokenizer, prompts), base).mean().item())
    result["null js"], spread = float(numpy.mean(nulls)), float(numpy.std(nulls, ddof=1))
    result["z"] = (result["js"] - result["null js"]) / spread if spread > 0 else None

    verbatim, paraphrased = [], []
    for case in read("facts", folder):
        pairs = [(prompt, case["gold"]) for prompt in [case["prompt"], *case["paraphrases"]]]
        lifts = [f - b for f, b in zip(*both(pairs), strict=True)]
        verbatim.append(lifts[0])
        paraphrased.append(float(numpy.mean(lifts[1:])))
    result["lift"], result["lift interval"] = float(numpy.mean(verbatim)), interval(verbatim)
    if result["lift"] != 0:
        result["ratio"] = float(ratio_of_means(paraphrased, verbatim))
        result["ratio interval"] = interval(paraphrased, verbatim, statistic=ratio_of_means)

    triples = read("preferences", folder)
    chosen = both([(t["prompt"], t["chosen"]) for t in triples])
    rejected = both([(t["prompt"], t["rejected"]) for t in triples])
    sides = zip(chosen, rejected, strict=True)
    right = [[c > r for c, r in zip(*side, strict=True)] for side in sides]
    flips = [now for now, before in zip(*right, strict=True) if not before]
    result["base wrong"], result["flipped"] = len(flips), sum(flips)

    held = [(item["prompt"], item["gold"]) for item in read("held", folder)]
    changes = [f - b for f, b in zip(*both(held), strict=True)]
    result["held change"] = float(numpy.mean(changes))
    result["held lost"] = sum(change < -1 for change in changes)

    after = recalls(model, tokenizer, folder)
    with model.disable_adapter():
        before = recalls(model, tokenizer, folder)
    result["recall"], result["base recall"] = float(numpy.mean(after)), float(numpy.mean(before))
    result["recall gain interval"] = interval([f - b for f, b in zip(after, before, strict=True)])

    curve = []
    for factor in LAMBDAS:
        if factor == 0:
            curve.append(base)  # and scaling by 0 could not be undone
        else:
            with scaled(model, factor):
                curve.append(next_logprobs(model, tokenizer, prompts))
    centred = [logprobs - logprobs.mean(-1, keepdim=True) for logprobs in curve]
    change = [(c - centred[0]).square().mean(-1).sqrt().mean().item() for c in centred]
    result["ablation"] = change
    if change[4] > 0:
        result["ablation r2"] = float(numpy.corrcoef(LAMBDAS, change)[0, 1] ** 2)
        result["ablation ratio"] = change[5] / change[4]
    return result


def measure(folder: Path, names: list[str]) -> dict[str, dict]:
    world = build_world()
    base, tokenizer = load_base(folder / "base")
    results = {"base": knowledge(base, tokenizer, world)}
    for name in names:
        model = PeftModel.from_pretrained(load_base(folder / "base")[0], folder / name).eval()
        results[name] = knowledge(model, tokenizer, world) | compare(model, tokenizer, folder)
    return results


def table(results: dict[str, dict]) -> str:
    rows: list[list[str]] = [["", *results]]
    labels = list(dict.fromkeys(label for scores in results.values() for label in scores))

    def cell(value) -> str:
        if value is None:
            return "–"
        if isinstance(value, list):
            return (" to " if len(value) == 2 else ", ").join(f"{v:.2f}" for v in value)
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    rows += [[label, *(cell(scores.get(label)) for scores in results.values())] for label in labels]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--only", nargs="*", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    results = measure(arguments.folder, arguments.only)
    print(table(results))
    if arguments.only == list(RECIPES):
        text = json.dumps(results, indent=1)
        (arguments.folder / "measured.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
