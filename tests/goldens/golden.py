"""What a golden is, and how older versions spelled what transformers and peft write today."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

SPECIAL = ["<unk>", "<s>", "</s>"]   # ids 0, 1, 2
WORDS = [f"w{i}" for i in range(93)]
LENGTHS = (1, 2, 13, 40)             # of the texts, in words; longer than every sliding window
SHORT = (1, 2, 13)                   # still longer than a window of 8
Json = dict[str, object]
Tensors = dict[str, torch.Tensor]

# Sizes that all architectures share. 4 query heads over 2 key heads of 8.
TINY: Json = dict(
    vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, intermediate_size=40,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


@dataclass
class Golden:
    name: str
    description: str
    config: object                                  # a transformers config
    adapter: Json = field(default_factory=dict)     # LoraConfig arguments over make.PLAIN
    dtype: torch.dtype = torch.float32              # of the base checkpoint
    adapter_dtype: torch.dtype = torch.float32
    shards: int = 1
    bos: bool = False                               # tokenizer's post-processor adds <s>
    lengths: tuple[int, ...] = LENGTHS
    # What is rewritten on disk after transformers and peft saved: spellings of other versions.
    config_json: Callable[[Json], Json] = lambda c: c
    base_tensors: Callable[[Tensors], Tensors] = lambda t: t
    adapter_json: Callable[[Json], Json] = lambda c: c
    adapter_key: Callable[[str], str] = lambda k: k
    # Misreadings as overrides of a JSON file; each must move some log-probability by > 0.01.
    config_mistakes: tuple[Json, ...] = ()
    adapter_mistakes: tuple[Json, ...] = ()


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


def noise(label: str, shape: torch.Size, std: float) -> torch.Tensor:
    """Normal noise of the same seed wherever the label is the same."""
    generator = torch.Generator().manual_seed(zlib.crc32(label.encode()))
    return torch.randn(shape, generator=generator) * std
