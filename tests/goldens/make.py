"""Tiny random models and LoRA adapters, with the log-probabilities PyTorch gives them.

    python -m pip install -r requirements.txt
    python make.py [NAME ...]          # all goldens, or only those named; checks what it wrote

Made with torch 2.15.0, transformers 5.23.0, peft 0.21.2, tokenizers 0.23.3, safetensors 0.8.0
(requirements.txt). The numbers come from the model in memory; they are then checked against what
is on disk, read back by another route, and against deliberate mistakes that must change them.

To add a golden: one entry in `GOLDENS`.
"""

import copy
import json
import math
import os
import shutil
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
# The folder of this script holds a statistics.py that torch would take for the standard library's.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
SCALE = 0.5                          # the λ of the view scaled_0.50
TEXT_LENGTHS = (1, 2, 13, 40)        # in words; longer than every sliding window below
SPECIAL = ["<unk>", "<s>", "</s>"]   # ids 0, 1, 2
WORDS = [f"w{i}" for i in range(93)]
Json = dict[str, object]

# Sizes that all architectures share. 4 query heads over 2 key heads of 8.
TINY: Json = dict(
    vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, intermediate_size=40,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)


@dataclass
class Golden:
    name: str
    description: str
    config: object                                  # a transformers config
    adapter: Json = field(default_factory=dict)     # LoraConfig arguments over `PLAIN`
    dtype: torch.dtype = torch.float32              # of the base checkpoint
    adapter_dtype: torch.dtype = torch.float32
    shards: int = 1
    bos: bool = False                               # tokenizer's post-processor adds <s>
    # What is rewritten on disk after transformers and peft saved: spellings of other versions.
    config_json: Callable[[Json], Json] = lambda c: c
    adapter_json: Callable[[Json], Json] = lambda c: c
    adapter_key: Callable[[str], str] = lambda k: k
    # Misreadings as overrides of a JSON file; each must move some log-probability by > 0.01.
    config_mistakes: tuple[Json, ...] = ()
    adapter_mistakes: tuple[Json, ...] = ()


PLAIN: Json = dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.0,
                   bias="none", task_type="CAUSAL_LM")
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def transformers_4(rope_scaling: Json | None = None, **more: object) -> Callable[[Json], Json]:
    """config.json as transformers 4 wrote it: rope at the top level, no layer_types, torch_dtype."""
    def rewrite(config: Json) -> Json:
        theta = config.pop("rope_parameters")["rope_theta"]
        config.pop("layer_types", None)
        config["torch_dtype"] = config.pop("dtype")
        config |= dict(rope_theta=theta, rope_scaling=rope_scaling, transformers_version="4.46.0")
        return dict(sorted((config | more).items()))
    return rewrite


def without(*keys: str) -> Callable[[Json], Json]:
    return lambda c: {k: v for k, v in c.items() if k not in keys}


def with_values(**values: object) -> Callable[[Json], Json]:
    return lambda c: c | values


def old_peft(config: Json) -> Json:
    """adapter_config.json with the keys of peft 0.2."""
    keys = ["base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "lora_alpha",
            "lora_dropout", "modules_to_save", "peft_type", "r", "target_modules", "task_type"]
    return {k: config[k] for k in keys}


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=48)
# Dicts in file order: the first pattern that matches wins, which is not the alphabetical one.
OVERLAPPING_ALPHA = {r"layers\.2\.self_attn\.q_proj": 2, "q_proj": 24, r"layers\.\d\..*_proj": 6}

GOLDENS = [
    Golden(
        "llama_default", "llama, tied head, GQA, large rms_norm_eps; adapter r=4 alpha=8 on q_proj and v_proj",
        LlamaConfig(**TINY, tie_word_embeddings=True, rms_norm_eps=1e-2),
        config_mistakes=({"rms_norm_eps": 1e-6}, {"rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}),
    ),
    Golden(
        "llama_untied_legacy_rope", "llama, own lm_head, transformers-4 spelling of rope_theta; adapter with rslora",
        LlamaConfig(**TINY, tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 50000.0}),
        adapter=dict(use_rslora=True, target_modules=ATTENTION),
        config_json=transformers_4(),
        config_mistakes=({"rope_theta": 10000.0},),
        adapter_mistakes=({"use_rslora": False},),
    ),
    Golden(
        "llama_linear", "llama, linear rope scaling in the transformers-4 spelling; adapter_config.json of an old peft",
        LlamaConfig(**TINY, tie_word_embeddings=True,
                    rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}),
        adapter=dict(lora_alpha=16),
        config_json=transformers_4(rope_scaling={"type": "linear", "factor": 2.0}),
        adapter_json=old_peft,
        config_mistakes=({"rope_scaling": None},),
    ),
    Golden(
        "llama_llama3", "llama, llama3 rope scaling with all three of its bands; adapter with rank_pattern and "
        "alpha_pattern by plain suffix",
        LlamaConfig(**TINY, tie_word_embeddings=False, rope_parameters={**LLAMA3, "rope_theta": 100.0}),
        adapter=dict(target_modules=ATTENTION, rank_pattern={"q_proj": 2, "self_attn.o_proj": 6},
                     alpha_pattern={"q_proj": 12, "v_proj": 3}),
        config_mistakes=(
            {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 8.0}},
            {"rope_parameters": {**LLAMA3, "rope_theta": 100.0, "original_max_position_embeddings": 32}},
        ),
        adapter_mistakes=({"alpha_pattern": {}},),
    ),
    Golden(
        "llama_biases", "llama with attention_bias, mlp_bias and a head_dim that is not hidden / heads; adapter whose "
        'target_modules is the string "all-linear"',
        LlamaConfig(**TINY, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=16),
        adapter=dict(target_modules="all-linear", r=2, lora_alpha=4),
        adapter_json=with_values(target_modules="all-linear"),
    ),
    Golden(
        "llama_sharded_f16", "llama, float16 checkpoint in three shards with an index; adapter on all linear layers, "
        "as peft writes it (14 full module paths)",
        LlamaConfig(**TINY, tie_word_embeddings=False), dtype=torch.float16, shards=3,
        adapter=dict(target_modules="all-linear", r=2, lora_alpha=4),
    ),
    Golden(
        "llama_bf16", "llama, bfloat16 checkpoint; adapter saved in bfloat16",
        LlamaConfig(**TINY, tie_word_embeddings=True), dtype=torch.bfloat16, adapter_dtype=torch.bfloat16,
        adapter=dict(target_modules=["k_proj", "down_proj"]),
    ),
    Golden(
        "llama_bos", "llama, tokenizer that adds <s>, llama3 rope in the transformers-4 spelling; adapter tensors "
        "named with the adapter's name (lora_A.default.weight)",
        LlamaConfig(**TINY, tie_word_embeddings=True, rope_parameters={**LLAMA3, "rope_theta": 100.0}), bos=True,
        adapter=dict(target_modules=["q_proj", "gate_proj"]),
        config_json=transformers_4(rope_scaling=LLAMA3),
        adapter_key=lambda k: k.replace(".weight", ".default.weight"),
        config_mistakes=({"rope_scaling": None},),
    ),
    Golden(
        "mistral_window", "mistral, sliding window of 8 in every layer, transformers-4 spelling without head_dim; "
        "adapter whose target_modules is a regex",
        MistralConfig(**TINY, sliding_window=8),
        adapter=dict(target_modules=r".*\.layers\.(0\.self_attn\.(q|o)|1\.mlp\.up)_proj"),
        config_json=lambda c: without("head_dim")(transformers_4()(c)),
        config_mistakes=({"sliding_window": None}, {"sliding_window": 7}, {"sliding_window": 9}),
    ),
    Golden(
        "mistral_full", "mistral without a window, head_dim not hidden / heads; adapter of rank 1",
        MistralConfig(**TINY, sliding_window=None, head_dim=12),
        adapter=dict(r=1, lora_alpha=3, target_modules=["v_proj", "down_proj"]),
        config_mistakes=({"sliding_window": 8},),
    ),
    Golden(
        "qwen2", "qwen2, qkv biases, tied head, transformers-4 spelling with a sliding_window that use_sliding_window "
        "switches off; adapter with layers_to_transform",
        Qwen2Config(**TINY, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
        adapter=dict(target_modules=["q_proj", "k_proj", "v_proj"], layers_to_transform=[1]),
        config_json=transformers_4(use_sliding_window=False, sliding_window=8, max_window_layers=1),
        config_mistakes=({"use_sliding_window": True},),
    ),
    Golden(
        "qwen2_window", "qwen2, three layers of which the last two slide over 8, layer_types as transformers 5 writes "
        "it; adapter with regex rank_pattern and an alpha_pattern whose keys overlap",
        Qwen2Config(**TINY | dict(num_hidden_layers=3), use_sliding_window=True, sliding_window=8, max_window_layers=1,
                    tie_word_embeddings=True),
        adapter=dict(target_modules=["q_proj", "o_proj", "up_proj"],
                     rank_pattern={r"model\.layers\.[01]\.self_attn\.o_proj": 2, r"mlp\.(up|gate)_proj": 1},
                     alpha_pattern=OVERLAPPING_ALPHA),
        adapter_json=with_values(alpha_pattern=OVERLAPPING_ALPHA),
        config_mistakes=({"layer_types": ["full_attention"] * 3}, {"layer_types": ["sliding_attention"] * 3},
                         {"sliding_window": 7}, {"sliding_window": 9}),
        adapter_mistakes=({"alpha_pattern": {}}, {"alpha_pattern": dict(sorted(OVERLAPPING_ALPHA.items()))}),
    ),
    Golden(
        "qwen3", "qwen3, norms on q and k, head_dim not hidden / heads, large rms_norm_eps; adapter with rslora and "
        "rank_pattern",
        Qwen3Config(**TINY, head_dim=16, tie_word_embeddings=False, rms_norm_eps=1e-1),
        adapter=dict(use_rslora=True, target_modules=ATTENTION, rank_pattern={"k_proj": 2, r"layers\.1\..*": 3}),
        config_mistakes=({"rms_norm_eps": 1e-6},),
        adapter_mistakes=({"use_rslora": False},),
    ),
    Golden(
        "qwen3_window", "qwen3, three layers whose layer_types are not what max_window_layers says; adapter on all "
        "linear layers, as peft writes it (21 modules or more are condensed to suffixes)",
        Qwen3Config(**TINY | dict(num_hidden_layers=3), head_dim=8, use_sliding_window=True, sliding_window=8,
                    max_window_layers=1, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                    tie_word_embeddings=True),
        adapter=dict(target_modules="all-linear", r=1, lora_alpha=2),
        config_mistakes=({"layer_types": None}, {"sliding_window": 7}, {"sliding_window": 9}),
    ),
]


def noise(label: str, shape: torch.Size, std: float) -> torch.Tensor:
    """Normal noise of the same seed wherever the label is the same."""
    generator = torch.Generator().manual_seed(zlib.crc32(label.encode()))
    return torch.randn(shape, generator=generator) * std


def make_tokenizer(bos: bool) -> Tokenizer:
    vocab = {token: i for i, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", SPECIAL.index("<s>"))])
    return tokenizer


def make_texts(name: str) -> list[str]:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} texts".encode()))
    return [" ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=generator)) for n in TEXT_LENGTHS]


@torch.no_grad()
def make_base(golden: Golden) -> torch.nn.Module:
    """Weights large enough that the log-probabilities are far from uniform, and small enough that float32's own
    noise stays a tenth of the tolerance. The model is in float32, its weights rounded to what the checkpoint holds
    (to convert the whole model would round the rotary frequencies too).
    """
    model = AutoModelForCausalLM.from_config(golden.config, attn_implementation="eager", dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            mean, std = 1.0, 0.25
        elif name.endswith(".bias"):
            mean, std = 0.0, 0.4
        elif "embed_tokens" in name or "lm_head" in name:
            mean, std = 0.0, 0.45
        else:
            mean, std = 0.0, 0.2
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
    """One (tokens, vocab) tensor per text, each text alone in its batch; the log-softmax in float64."""
    logits = [model(torch.tensor([ids]), use_cache=False).logits[0] for ids in token_ids]
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
    make_tokenizer(golden.bos).save(str(folder / "tokenizer.json"))


def save_adapter(golden: Golden, adapted: PeftModel, folder: Path) -> None:
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()

    def rewrite(config: Json) -> Json:
        config["base_model_name_or_path"] = "base"
        if isinstance(config["target_modules"], list):
            config["target_modules"].sort()         # peft writes a set in the order of its hashes
        return golden.adapter_json(config)

    edit_json(folder / "adapter_config.json", rewrite)
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors = {golden.adapter_key(k): v.to(golden.adapter_dtype) for k, v in tensors.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load_base(folder: Path, **overrides: object) -> torch.nn.Module:
    """The base as it lies on disk, in float32. Overrides replace keys of config.json."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder / "base", scratch, dirs_exist_ok=True)
        edit_json(Path(scratch, "config.json"), with_values(**overrides))
        config = AutoConfig.from_pretrained(scratch)
        return AutoModelForCausalLM.from_pretrained(scratch, config=config, attn_implementation="eager").eval().float()


def load_adapted(folder: Path, **overrides: object) -> PeftModel:
    """Base and adapter as they lie on disk. Overrides replace keys of adapter_config.json."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("error", UserWarning)     # peft only warns of missing adapter keys
        shutil.copytree(folder / "adapter", scratch, dirs_exist_ok=True)
        edit_json(Path(scratch, "adapter_config.json"), with_values(**overrides))
        return PeftModel.from_pretrained(load_base(folder), scratch).eval()


def distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return max((x.double() - y.double()).abs().max().item() for x, y in zip(a, b, strict=True))


@torch.no_grad()
def merged(folder: Path, updates: dict[str, LoraLayer], scale: float) -> torch.nn.Module:
    """The base in float64 with `scale` times each update added to its weight."""
    model = load_base(folder).double()
    for name, layer in updates.items():
        factors = (layer.lora_B["default"].weight.double(), layer.lora_A["default"].weight.double())
        model.get_submodule(name).weight += scale * layer.scaling["default"] * (factors[0] @ factors[1])
    return model


@torch.no_grad()
def check(golden: Golden, folder: Path, views: dict[str, list[torch.Tensor]]) -> dict[str, float]:
    """Reads the golden back from disk and compares. The figures are for the person who made it."""
    stored = load_file(folder / "golden.safetensors")
    token_ids = json.loads((folder / "golden.json").read_text())["token_ids"]
    tokenizer = Tokenizer.from_file(str(folder / "base/tokenizer.json"))
    for text, ids in zip(make_texts(golden.name), token_ids, strict=True):
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == text

    adapted = load_adapted(folder)
    updates = {n: m for n, m in adapted.base_model.model.named_modules() if isinstance(m, LoraLayer)}
    assert 2 * len(updates) == len(load_file(folder / "adapter/adapter_model.safetensors"))
    same_route = {"base": log_probs(load_base(folder), token_ids), "ft": log_probs(adapted, token_ids)}
    # By another route than peft's: updates merged into the base weights, all in float64.
    merged_route = {view: log_probs(merged(folder, updates, scale), token_ids)
                    for view, scale in (("base", 0.0), ("ft", 1.0), (f"scaled_{SCALE:.2f}", SCALE))}
    rounding = 0.0
    for route, limit in ((same_route, 1e-5), (merged_route, 4e-5)):
        for view, tensors in route.items():
            assert all(t.shape == (len(ids), TINY["vocab_size"]) for t, ids in zip(tensors, token_ids, strict=True))
            error = distance(tensors, [stored[f"{view}.{i}"] for i in range(len(token_ids))])
            assert error < limit, f"{golden.name}: {view} on disk is {error:.2e} from what was stored"
            rounding = max(rounding, error)

    misread = [("base", load_base(folder, **mistake)) for mistake in golden.config_mistakes]
    misread += [("ft", load_adapted(folder, **mistake)) for mistake in golden.adapter_mistakes]
    mistakes = [distance(log_probs(model, token_ids), views[view]) for view, model in misread]
    assert all(d > 0.01 for d in mistakes), f"{golden.name}: a mistake goes unseen: {mistakes}"

    all_base, all_ft = torch.cat(views["base"]).double(), torch.cat(views["ft"]).double()
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
    texts = make_texts(golden.name)
    tokenizer = make_tokenizer(golden.bos)
    token_ids = [tokenizer.encode(text).ids for text in texts]

    model = make_base(golden)
    save_base(golden, model, folder / "base")
    views = {"base": log_probs(model, token_ids)}
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
    warnings.simplefilter("ignore", FutureWarning)
    wanted = sys.argv[1:]
    unknown = set(wanted) - {g.name for g in GOLDENS}
    if unknown:
        sys.exit(f"no such golden: {', '.join(sorted(unknown))}")
    for golden in GOLDENS:
        if not wanted or golden.name in wanted:
            make(golden)
