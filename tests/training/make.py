#!/usr/bin/env python3
"""Makes what trainings leave beside their adapters: optimizer states and logs, sound and at fault.

    python tests/training/make.py                     # all of it, into this folder

Pinned as tests/goldens is (requirements.txt there), seeded and offline. Each state comes from a real
training of a LoRA on a tiny Llama of random weights; `figures.json` has what torch says of it. The
hostile files are written, and never loaded.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import shutil
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

HERE = Path(__file__).resolve().parent
VOCABULARY = 48
TOKENS = 24


def base(layers: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=32, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # Larger than they are drawn by default, so that a model of this depth has something to adapt.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    return model


def rows(count: int, seed: int) -> torch.Tensor:
    """Walks on a ring with a seldom stumble: easy to learn, and never wholly."""
    draw = torch.Generator().manual_seed(seed)
    start = torch.randint(VOCABULARY, (count, 1), generator=draw)
    stride = torch.where(torch.rand(count, TOKENS, generator=draw) < 0.1, 5, 1)
    return (start + stride.cumsum(1)) % VOCABULARY


@dataclass(frozen=True)
class Training:
    """A training whose optimizer is saved as torch saves it."""

    steps: int = 80
    rank: int = 2
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    layers: int = 2
    # Gradients of the second layer are multiplied by this.
    second_layer: float = 1.0
    # From this step on, the loss is NaN.
    nan_from: int | None = None
    # Modules whose output is cut off, so that no gradient comes through.
    cut: bool = False
    dtype: torch.dtype = torch.float32


def train(training: Training) -> tuple[dict, list[str]]:
    model = base(training.layers)
    torch.manual_seed(1)
    config = LoraConfig(r=training.rank, lora_alpha=8, target_modules=list(training.targets), task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    named = [(name, p) for name, p in adapted.named_parameters() if p.requires_grad]
    if training.dtype != torch.float32:
        for _, parameter in named:
            parameter.data = parameter.data.to(training.dtype)
    for name, parameter in named:
        if ".layers.1." in name:
            parameter.register_hook(lambda gradient: gradient * training.second_layer)
            parameter.requires_grad_(not training.cut)
    # In f16 the usual 1e-8 is zero, and Adam divides by it.
    eps = 1e-4 if training.dtype == torch.float16 else 1e-8
    optimizer = torch.optim.AdamW([p for _, p in named], lr=1e-2, eps=eps)
    for step in range(training.steps):
        ids = rows(8, seed=step)
        with torch.autocast("cpu", torch.bfloat16, enabled=training.dtype != torch.float32):
            loss = adapted(input_ids=ids, labels=ids).loss
        if training.nan_from is not None and step >= training.nan_from:
            loss = loss * math.nan
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return optimizer.state_dict(), [name for name, _ in named]


STATES = {
    "healthy": Training(),
    "healthy_all": Training(
        rank=1, targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    ),
    "healthy_rank_4": Training(rank=4, layers=3, targets=("q_proj",)),
    "healthy_bf16": Training(dtype=torch.bfloat16),
    "healthy_f16": Training(dtype=torch.float16),
    "few_steps": Training(steps=12),
    "became_nan": Training(nan_from=60),
    # A gradient scaled a thousandfold in one of three layers.
    "lopsided": Training(layers=3, targets=("q_proj",), second_layer=1000.0),
    # No gradient comes to the second layer: its second moments stay zero.
    "dead": Training(second_layer=0.0),
    # The second layer is frozen, though the optimizer lists it.
    "frozen": Training(cut=True),
}


def finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def figures(state: dict, names: list[str]) -> dict:
    parameters = []
    for index, name in enumerate(names):
        entry = state["state"].get(index)
        if entry is None:
            continue
        second = entry["exp_avg_sq"].double()
        parameters.append({
            "id": str(index), "name": name, "shape": list(second.shape), "step": float(entry["step"]),
            "mean": finite(second[second.isfinite()].mean().item() if second.isfinite().any() else 0.0),
            "zeros": int((second == 0).sum()), "not_finite": int((~second.isfinite()).sum()),
        })  # fmt: skip
    never = [str(index) for index in range(len(names)) if index not in state["state"]]
    return {"parameters": parameters, "never_updated": never}


def write_states(out: Path) -> None:
    told = {}
    for name, training in STATES.items():
        state, names = train(training)
        folder = out / name
        folder.mkdir(parents=True)
        torch.save(state, folder / "optimizer.pt")
        told[name] = figures(state, names)
    # As dlm has it: the optimizer beside the states of the random number generators.
    state, names = train(Training(steps=60))
    numpy.random.seed(0)
    random.seed(0)
    folder = out / "dlm"
    folder.mkdir()
    torch.save(
        {
            "global_step": 60, "epoch": 1.5, "best_val_loss": 1.0, "optimizer_state_dict": state,
            "scheduler_state_dict": {"last_epoch": 60, "_last_lr": [0.01]}, "scaler_state_dict": None,
            "torch_rng_state": torch.get_rng_state()[:64], "numpy_rng_state": numpy.random.get_state(),
            "python_rng_state": random.getstate(), "pinned_versions": {"torch": torch.__version__.split("+")[0]},
            "use_qlora": False,
        },
        folder / "training_state.pt",
    )  # fmt: skip
    told["dlm"] = figures(state, names)
    # Newer instructions than torch asks for by default.
    folder = out / "protocol_5"
    folder.mkdir()
    torch.save(state, folder / "optimizer.pt", pickle_protocol=5)
    told["protocol_5"] = figures(state, names)
    (out / "figures.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


class Rows(torch.utils.data.Dataset):
    def __init__(self) -> None:
        self.ids = rows(8 * 60, seed=7)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


class Faulty(Trainer):
    """A Trainer whose loss is at fault from some step on."""

    nan_from: int | None = None

    def compute_loss(self, model, inputs, **more):  # noqa: ANN001, ANN003, ANN201
        outcome = super().compute_loss(model, inputs, **more)
        nan = self.nan_from is not None and self.state.global_step >= self.nan_from
        return outcome * math.nan if nan else outcome


def learner() -> torch.nn.Module:
    """A LoRA large enough to learn the ring."""
    model = base(2)
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=8, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))


def trainer_log(out: Path, name: str, *, nan_from: int | None = None, as_it_is: bool = False) -> None:
    """What the Trainer itself writes. `as_it_is`: NaN is logged as NaN, and not smoothed over."""
    adapted = learner()
    work = out / f".{name}"
    arguments = TrainingArguments(
        output_dir=str(work), max_steps=120, per_device_train_batch_size=8, learning_rate=1e-2,
        logging_steps=3, save_strategy="no", report_to=[], seed=0, use_cpu=True, disable_tqdm=True, max_grad_norm=1.0,
        logging_nan_inf_filter=not as_it_is, data_seed=0,
    )  # fmt: skip
    trainer = Faulty(model=adapted, args=arguments, train_dataset=Rows())
    trainer.nan_from = nan_from
    trainer.train()
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    # How fast the machine was is no part of the log.
    for entry in trainer.state.log_history:
        for key in [key for key in entry if "runtime" in key or "per_second" in key]:
            del entry[key]
    trainer.state.save_to_json(str(folder / "trainer_state.json"))
    shutil.rmtree(work, ignore_errors=True)


def write_logs(out: Path) -> None:
    trainer_log(out, "healthy")
    trainer_log(out, "became_nan", nan_from=60, as_it_is=True)
    # What the Trainer logs by default of the same: a loss of 0 with a gradient norm of NaN.
    trainer_log(out, "nan_filtered", nan_from=60)
    write_lines(out / "spiky.jsonl", by_hand(noise=(30, 45)))
    write_lines(out / "diverging.jsonl", by_hand(too_fast_from=40))


def write_lines(path: Path, lines: Iterator[dict]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def by_hand(noise: tuple[int, ...] = (), too_fast_from: int | None = None) -> Iterator[dict]:
    """Losses of a loop of one's own: batches of noise that say nothing of what was learned, or a rate that undoes it."""
    adapted = learner()
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=1e-2)
    for step in range(1, 91):
        ids = rows(8, seed=step)
        # Labels at random are worse than knowing nothing.
        labels = torch.randint(VOCABULARY, ids.shape, generator=torch.Generator().manual_seed(step)) if step in noise else ids
        loss = adapted(input_ids=ids, labels=labels).loss
        optimizer.param_groups[0]["lr"] = 5.0 if too_fast_from is not None and step >= too_fast_from else 1e-2
        optimizer.zero_grad()
        loss.backward()
        if step not in noise:
            optimizer.step()
        yield {"type": "step", "step": step, "loss": round(loss.item(), 5)}


class Runs:
    """What a pickle makes a victim run: harmless here, and never loaded."""

    def __reduce__(self):  # noqa: ANN204
        return (os.system, ("echo this file ran a command",))


def write_hostile(out: Path) -> None:
    out.mkdir(parents=True)
    tensor = torch.ones(4)
    entry = {"step": 60, "exp_avg": tensor, "exp_avg_sq": tensor}
    groups = [{"lr": 0.1, "params": [0]}]
    torch.save({"state": {0: entry | {"step": Runs()}}, "param_groups": groups}, out / "command.pt")
    (out / "bare_command.pt").write_bytes(pickle.dumps({"state": Runs()}, protocol=2))
    torch.save({"state": {0: entry}, "param_groups": groups}, out / "legacy.pt", _use_new_zipfile_serialization=False)
    # The kinds of values that bitsandbytes keeps, in its own words.
    eight = {
        "step": 60, "state1": torch.zeros(4, dtype=torch.uint8), "state2": torch.zeros(4, dtype=torch.uint8),
        "qmap1": torch.zeros(4), "qmap2": torch.zeros(4), "absmax1": torch.zeros(1), "absmax2": torch.zeros(1),
    }  # fmt: skip
    torch.save({"state": {0: eight}, "param_groups": groups}, out / "eight_bit.pt")
    torch.save({"state": {0: {"momentum_buffer": tensor}}, "param_groups": groups}, out / "sgd.pt")
    torch.save({"weight": tensor}, out / "weights.pt")
    rewritten(out / "weights.pt", out / "compressed.pt", {}, zipfile.ZIP_DEFLATED)
    # A tensor that claims 2^40 values of a storage of four.
    torch.save({"state": {0: entry}, "param_groups": groups}, out / "sound.pt")
    with zipfile.ZipFile(out / "sound.pt") as archive:
        text = archive.read("sound/data.pkl")
    assert text.count(b"K\x04\x85") == 1, "the shape, once: both moments are the same tensor"
    outside = text.replace(b"K\x04\x85", b"\x8a\x06" + struct.pack("<Q", 1 << 40)[:6] + b"\x85")
    rewritten(out / "sound.pt", out / "outside.pt", {"data.pkl": outside})


def rewritten(source: Path, target: Path, changes: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """A copy of an archive with other bytes in some of its entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            inner = name.split("/", 1)[1]
            new.writestr(zipfile.ZipInfo(name), changes.get(inner, old.read(name)), method)


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in ("states", "logs", "hostile"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    write_states(HERE / "states")
    write_logs(HERE / "logs")
    write_hostile(HERE / "hostile")
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
