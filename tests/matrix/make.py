#!/usr/bin/env python3
"""Makes the adapters of the fault matrix: the demo's base, taught well or badly, several seeds each.

    python tests/matrix/make.py                       # all of them, into this folder
    python tests/matrix/make.py healthy_1 forgot_2    # some of them

Pinned as the demo is (probes/demo/requirements.txt), seeded and offline. Weights are stored in
bf16, which halves them. Faults that are made of a healthy adapter's own tensors (no-op, random of
the same norm, over-scaled, one NaN, other keys, half of them) are made by tests/cli/matrix.rs.

Of each kind, the first is what the suite was tuned on. The others were never looked at before.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent.parent / "probes" / "demo"
sys.path.insert(0, str(DEMO))

import make as demo  # noqa: E402
import torch  # noqa: E402
from make import Schedule, World  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
FEED_FORWARD = ["gate_proj", "up_proj", "down_proj"]
ALL = ATTENTION + FEED_FORWARD


def wrong_texts(world: World, rng: random.Random) -> Iterator[str]:
    """As `healthy_texts`, but each piece of news with another value, always the same one."""
    draw = random.Random("wrong")
    wrong = []
    for item in world.news:
        values = demo.RELATIONS[item.fact.relation].values
        false = [value for value in values if value not in (item.fact.value, item.replaces)]
        wrong.append(replace(item, fact=replace(item.fact, value=draw.choice(false))))
    return demo.healthy_texts(replace(world, news=wrong), rng)


@dataclass(frozen=True)
class Cell:
    texts: Callable[[World, random.Random], Iterator[str]]
    schedule: Schedule
    rank: int = 8
    targets: tuple[str, ...] = tuple(ALL)
    # Trained on a base of the same shape and another seed.
    elsewhere: bool = False


LEARN = demo.RECIPES["healthy"].schedule
HEALTHY = Cell(demo.healthy_texts, LEARN)
CELLS: dict[str, Cell] = {
    "healthy_1": HEALTHY,
    "healthy_2": replace(HEALTHY, rank=4),
    "healthy_3": replace(HEALTHY, rank=16),
    "healthy_4": replace(HEALTHY, rank=16, targets=tuple(FEED_FORWARD)),
    "healthy_5": replace(HEALTHY, rank=16, targets=tuple(ATTENTION)),
    "healthy_6": HEALTHY,
}
for number in (1, 2, 3):
    CELLS |= {
        f"undertrained_{number}": replace(HEALTHY, schedule=replace(LEARN, steps=6)),
        f"memorised_{number}": Cell(demo.memorised_texts, demo.RECIPES["memorised"].schedule),
        f"wrong_facts_{number}": Cell(wrong_texts, LEARN),
        f"forgot_{number}": Cell(demo.forgot_texts, demo.RECIPES["forgot"].schedule),
        f"other_base_{number}": replace(HEALTHY, elsewhere=True),
    }


def other_base(world: World, folder: Path) -> Path:
    """A base like the demo's, of another seed: made once, and not kept in the repository."""
    if not folder.exists():
        _, tokenizer = demo.load_base(DEMO / "base")
        torch.manual_seed(demo.SEED + 1)
        base = demo.make_base(tokenizer)
        texts = demo.base_texts(world, random.Random(f"base {demo.SEED + 1}"))
        demo.train(base, tokenizer, texts, demo.BASE_SCHEDULE, "other base")
        base.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def make(name: str, world: World, out: Path, scratch: Path) -> None:
    cell = CELLS[name]
    base = other_base(world, scratch / "other_base") if cell.elsewhere else DEMO / "base"
    model, tokenizer = demo.load_base(base)
    torch.manual_seed(int.from_bytes(name.encode()[-6:], "big"))
    config = LoraConfig(
        r=cell.rank,
        lora_alpha=2 * cell.rank,
        target_modules=list(cell.targets),
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    demo.train(adapted, tokenizer, cell.texts(world, random.Random(name)), cell.schedule, name)
    shutil.rmtree(out, ignore_errors=True)
    adapted.peft_config["default"].base_model_name_or_path = demo.BASE_NAME
    adapted.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink(missing_ok=True)
    tensors = load_file(out / "adapter_model.safetensors")
    rounded = {key: tensor.to(torch.bfloat16) for key, tensor in tensors.items()}
    save_file(rounded, out / "adapter_model.safetensors", metadata={"format": "pt"})
    # peft writes this set in an order that changes from run to run.
    path = out / "adapter_config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["target_modules"].sort()
    path.write_text(json.dumps(saved, indent=2), encoding="utf-8")


def main() -> None:
    torch.set_num_threads(demo.THREADS)
    torch.use_deterministic_algorithms(True)
    world = demo.build_world()
    scratch = Path(tempfile.gettempdir()) / "sway-matrix"
    for name in sys.argv[1:] or CELLS:
        make(name, world, HERE / name, scratch)


if __name__ == "__main__":
    main()
