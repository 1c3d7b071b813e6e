"""Tiny random models and adapters, with the log-probabilities PyTorch gives them.

    python -m pip install -r requirements.txt
    python make.py [NAME ...]          # all goldens, or only those named; checks what it wrote

Made with torch 2.15.0, transformers 5.23.0, peft 0.21.2, tokenizers 0.23.3, safetensors 0.8.0
(requirements.txt). The numbers come from the model in memory; they are then checked against what
is on disk, read back by another route, and against deliberate mistakes that must change them.

To add a golden: one entry in `ARCHITECTURES` (architectures.py) or `ADAPTERS` (adapters.py).
"""

import copy
import json
import math
import os
import re
import shutil
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
# The folder of this script holds a statistics.py that torch would take for the standard library's: look there last.
HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE] + [str(HERE)]

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from adapters import ADAPTERS, FULL, Adapted, copyable, grow, interpolated, train
from architectures import ARCHITECTURES
from golden import SPECIAL, WORDS, Golden, Json, noise, with_values

GOLDENS = ARCHITECTURES + ADAPTERS
SCALE = 0.5                          # the λ of the view scaled_0.50
PLAIN: Json = dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.0,
                   bias="none", task_type="CAUSAL_LM")
PLAIN_CODE: Json = dict(attn_implementation="eager", experts_implementation="eager")    # fused ones know no float64


def make_tokenizer(bos: bool, new_tokens: int = 0) -> Tokenizer:
    vocab = {token: i for i, token in enumerate(SPECIAL + WORDS + [f"new{i}" for i in range(new_tokens)])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", SPECIAL.index("<s>"))])
    return tokenizer


def make_texts(golden: Golden) -> list[str]:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{golden.name} texts".encode()))
    texts = [" ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=generator)) for n in golden.lengths]
    return texts + ["w3 new1 w5 new0 w7"] if new_tokens(golden) and golden.grown_base else texts


def spread(model: torch.nn.Module, name: str) -> tuple[float, float]:
    """Mean and deviation of a parameter's noise."""
    module = model.get_submodule(name.rpartition(".")[0])
    if name.endswith(".bias"):
        return 0.0, 0.4
    if "Norm" in type(module).__name__:
        return 0.0 if model.config.model_type.startswith("gemma") else 1.0, 0.25     # Gemma adds one to its weights
    if isinstance(module, torch.nn.Embedding) or module is model.get_output_embeddings():
        return 0.0, 0.45
    return 0.0, 0.2


@torch.no_grad()
def make_base(golden: Golden) -> torch.nn.Module:
    """Weights large enough that the log-probabilities are far from uniform, and small enough that float32's own
    noise stays a tenth of the tolerance. The model is in float32, its weights rounded to what the checkpoint holds
    (to convert the whole model would round the rotary frequencies too).
    """
    model = AutoModelForCausalLM.from_config(golden.config, dtype=torch.float32, **PLAIN_CODE).eval()
    for name, parameter in model.named_parameters():
        mean, std = spread(model, name)
        parameter.copy_((mean + noise(f"{golden.name} {name}", parameter.shape, std)).to(golden.dtype))
    return model


@torch.no_grad()
def make_adapted(golden: Golden, model: torch.nn.Module) -> PeftModel:
    """Both factors random, so that the update is real."""
    adapted = get_peft_model(model, LoraConfig(**PLAIN | golden.adapter)).eval()
    for name, parameter in adapted.named_parameters():
        if ".lora_" in name:
            std = 0.2 if ".lora_A." in name else 0.1
            parameter.copy_(noise(f"{golden.name} {name}", parameter.shape, std).to(golden.adapter_dtype))
    return adapted


@torch.no_grad()
def log_probs(model: torch.nn.Module, token_ids: list[list[int]]) -> list[torch.Tensor]:
    """One (tokens, vocab) tensor per text, each text alone in its batch; the log-softmax in float64. Each has a fresh
    copy of the model, since some rotary embeddings remember the longest text they saw.
    """
    logits = [copy.deepcopy(model)(torch.tensor([ids]), use_cache=False).logits[0] for ids in token_ids]
    return [torch.log_softmax(x.double(), dim=-1).float() for x in logits]


def lora_layers(model: torch.nn.Module) -> list[LoraLayer]:
    return [m for m in model.modules() if isinstance(m, LoraLayer)]


def edit_json(path: Path, edit: Callable[[Json], Json]) -> None:
    path.write_text(json.dumps(edit(json.loads(path.read_text())), indent=2) + "\n")


def save_base(golden: Golden, model: torch.nn.Module, folder: Path) -> None:
    model = copy.deepcopy(model).to(golden.dtype)
    total = sum(p.numel() * p.element_size() for p in model.parameters())
    # A shard is closed before the tensor that would overfill it, hence the slack.
    limit = math.ceil(total / golden.shards * (1.1 if golden.shards > 1 else 1))
    model.save_pretrained(folder, max_shard_size=limit)
    (folder / "generation_config.json").unlink(missing_ok=True)
    shards = len(list(folder.glob("*.safetensors")))
    assert shards == golden.shards, f"{golden.name}: {shards} shards"
    edit_json(folder / "config.json", golden.config_json)
    for shard in folder.glob("*.safetensors"):
        save_file(golden.base_tensors(load_file(shard)), shard, metadata={"format": "pt"})
    make_tokenizer(golden.bos, len(model.get_input_embeddings().weight) - len(SPECIAL + WORDS)).save(str(folder / "tokenizer.json"))


def save_adapter(golden: Golden, adapted: torch.nn.Module, folder: Path) -> None:
    if isinstance(golden, Adapted) and golden.method is FULL:
        return save_base(golden, adapted, folder)
    resized = new_tokens(golden) > 0
    adapted.save_pretrained(folder, **dict(save_embedding_layers=True) if resized else {})
    (folder / "README.md").unlink()
    if resized:
        make_tokenizer(golden.bos, new_tokens(golden)).save(str(folder / "tokenizer.json"))

    def rewrite(config: Json) -> Json:
        config["base_model_name_or_path"] = "base"
        for key in ("target_modules", "exclude_modules", "feedforward_modules"):
            if isinstance(config.get(key), list):
                config[key].sort()                  # peft writes a set in the order of its hashes
        return golden.adapter_json(config)

    edit_json(folder / "adapter_config.json", rewrite)
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors = {golden.adapter_key(k): v.to(golden.adapter_dtype) for k, v in tensors.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load_base(folder: Path, part: str = "base", **overrides: object) -> torch.nn.Module:
    """The base as it lies on disk, in float32. Overrides replace keys of config.json."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder / part, scratch, dirs_exist_ok=True)
        edit_json(Path(scratch, "config.json"), with_values(**overrides))
        config = AutoConfig.from_pretrained(scratch)
        return AutoModelForCausalLM.from_pretrained(scratch, config=config, dtype=torch.float32, **PLAIN_CODE).eval()


def load_adapted(golden: Golden, folder: Path, distorted: str | None = None, **overrides: object) -> torch.nn.Module:
    """Base and adapter as they lie on disk. Overrides replace keys of adapter_config.json; of distorted tensors, those
    of one kind, the values are half as large again.
    """
    if isinstance(golden, Adapted) and golden.method is FULL:
        return load_base(folder, "adapter")
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.filterwarnings("error", message="(?s).*missing adapter keys")      # of which peft only warns
        shutil.copytree(folder / "adapter", scratch, dirs_exist_ok=True)
        edit_json(Path(scratch, "adapter_config.json"), with_values(**overrides))
        if distorted is not None:
            file = Path(scratch, "adapter_model.safetensors")
            save_file({k: v * 1.5 if kind(k) == distorted else v for k, v in load_file(file).items()}, file)
        base = load_base(folder)
        base = grow(golden, base) if isinstance(golden, Adapted) else base
        return copyable(PeftModel.from_pretrained(base, scratch).eval())


def new_tokens(golden: Golden) -> int:
    return golden.new_tokens if isinstance(golden, Adapted) else 0


def kind(key: str) -> str:
    """An adapter tensor's name without its layer."""
    return re.sub(r"\.\d+\.", ".N.", key)


def distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return max((x.double() - y.double()).abs().max().item() for x, y in zip(a, b, strict=True))


@torch.no_grad()
def merged(base: torch.nn.Module, adapted: PeftModel, scale: float) -> torch.nn.Module:
    """The base in float64 with `scale` times each LoRA update added to its weight."""
    model = copy.deepcopy(base).double()
    for name, layer in adapted.base_model.model.named_modules():
        if isinstance(layer, LoraLayer):
            update = layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double()
            update = update.T if layer.fan_in_fan_out else update
            model.get_submodule(name).weight += scale * layer.scaling["default"] * update
    return model


@torch.no_grad()
def check(golden: Golden, folder: Path, views: dict[str, list[torch.Tensor]]) -> dict[str, float]:
    """Reads the golden back from disk and compares. The figures are for the person who made it."""
    stored = load_file(folder / "golden.safetensors")
    token_ids = json.loads((folder / "golden.json").read_text())["token_ids"]
    grown = isinstance(golden, Adapted) and golden.grown_base
    tokenizer = Tokenizer.from_file(str(folder / ("adapter" if grown else "base") / "tokenizer.json"))
    for text, ids in zip(make_texts(golden), token_ids, strict=True):
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == text

    base, adapted = load_base(folder), load_adapted(golden, folder)
    base = grow(golden, base) if grown else base
    same_route = {"base": log_probs(base, token_ids), "ft": log_probs(adapted, token_ids)}
    # By another route than peft's forward: merged weights, all in float64.
    merge = interpolated if isinstance(golden, Adapted) else merged
    merged_route = {"base": log_probs(copy.deepcopy(base).double(), token_ids)}
    for view, scale in (("ft", 1.0), (f"scaled_{SCALE:.2f}", SCALE)):
        merged_route[view] = log_probs(merge(base, adapted, scale), token_ids)
    rounding = 0.0
    for route, limit in ((same_route, 1e-5), (merged_route, 4e-5)):
        for view, tensors in route.items():
            error = distance(tensors, [stored[f"{view}.{i}"] for i in range(len(token_ids))])
            assert error < limit, f"{golden.name}: {view} on disk is {error:.2e} from what was stored"
            rounding = max(rounding, error)

    misread = [("base", load_base(folder, **mistake)) for mistake in golden.config_mistakes]
    misread += [("ft", load_adapted(golden, folder, **mistake)) for mistake in golden.adapter_mistakes]
    if isinstance(golden, Adapted) and golden.method is not FULL and not golden.twice:
        kinds = {kind(k) for k in load_file(folder / "adapter/adapter_model.safetensors")}
        misread += [("ft", load_adapted(golden, folder, distorted=k)) for k in sorted(kinds)]
    mistakes = [distance(log_probs(model, token_ids), views[view]) for view, model in misread]
    assert all(d > 0.01 for d in mistakes), f"{golden.name}: a mistake goes unseen: {mistakes}"

    all_base = torch.cat(views["base"]).double()
    all_ft = torch.cat(views["ft"]).double()[:, :all_base.shape[1]]
    return {
        "entropy": -(all_base.exp() * all_base).sum(-1).mean().item(),     # uniform is ln 96 = 4.56
        "kl(base, ft)": (all_base.exp() * (all_base - all_ft)).sum(-1).mean().item(),
        "float32 noise": rounding,
        "least mistake": min(mistakes, default=math.nan),
    }


def make(golden: Golden) -> None:
    folder = HERE / golden.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    texts = make_texts(golden)
    grown = isinstance(golden, Adapted) and golden.grown_base
    tokenizer = make_tokenizer(golden.bos, new_tokens(golden) if grown else 0)
    token_ids = [tokenizer.encode(text).ids for text in texts]

    model = make_base(golden)
    save_base(golden, model, folder / "base")
    model = grow(golden, copy.deepcopy(model)) if grown else model
    views = {"base": log_probs(model, token_ids)}
    if isinstance(golden, Adapted):
        adapted = train(golden, model, PLAIN)
        views["ft"] = log_probs(adapted, token_ids)
        views[f"scaled_{SCALE:.2f}"] = log_probs(interpolated(model, adapted, SCALE).float(), token_ids)
    else:
        adapted = make_adapted(golden, model)
        views["ft"] = log_probs(adapted, token_ids)
        for layer in lora_layers(adapted):
            layer.set_scale("default", SCALE)
        views[f"scaled_{SCALE:.2f}"] = log_probs(adapted, token_ids)
    save_adapter(golden, adapted, folder / "adapter")

    header = {"description": golden.description, "texts": texts, "token_ids": token_ids}
    (folder / "golden.json").write_text(json.dumps(header) + "\n")
    save_file({f"{view}.{i}": t for view, tensors in views.items() for i, t in enumerate(tensors)},
              folder / "golden.safetensors")

    figures = check(golden, folder, views)
    kb = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1024
    print(f"{golden.name:26}{kb:6.0f} KiB  " + "  ".join(f"{k} {v:.2g}" for k, v in figures.items()), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    wanted = sys.argv[1:]
    unknown = set(wanted) - {g.name for g in GOLDENS}
    if unknown:
        sys.exit(f"no such golden: {', '.join(sorted(unknown))}")
    for golden in GOLDENS:
        if not wanted or golden.name in wanted:
            make(golden)
