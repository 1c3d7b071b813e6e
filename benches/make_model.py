#!/usr/bin/env python3
"""Makes the model that the benchmarks run on: the shape of SmolLM2-135M with random weights, a
byte-level BPE tokenizer of 49,152 tokens, and a PEFT LoRA adapter (rank 16, all linear layers).

    python benches/make_model.py MODEL_DIR        # writes MODEL_DIR/base and MODEL_DIR/adapter

Speed does not depend on the weights. The tokenizer is trained on the sources of the installed torch
and transformers, so another version of either gives somewhat other token counts.

Written and run with Python 3.11, torch 2.15.0, transformers 5.23.0, peft 0.21.2, tokenizers 0.23.3.
"""

from __future__ import annotations

import argparse
import json
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 49_152
EOS = "<|endoftext|>"
SPECIALS = [EOS, "<|im_start|>", "<|im_end|>"]
# Enough text to fill the vocabulary, little enough to train on in a minute.
TRAINING_FILES = 4000
TRAINING_CHARS_PER_FILE = 200_000
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def training_texts() -> Iterator[str]:
    packages = Path(sysconfig.get_paths()["purelib"])
    files = sorted((file for name in ("torch", "transformers") for file in (packages / name).rglob("*.py")), key=str)
    for file in files[:TRAINING_FILES]:
        yield file.read_text(encoding="utf-8", errors="ignore")[:TRAINING_CHARS_PER_FILE]


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS, unk_token=EOS)


def make_base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=8192,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            initializer_range=0.0417,
        )
    )


def save_adapter(base: LlamaForCausalLM, folder: Path) -> None:
    config = LoraConfig(r=16, lora_alpha=32, task_type="CAUSAL_LM", target_modules=PROJECTIONS)
    adapted = get_peft_model(base, config)
    # peft starts B at zero; an adapter that changes nothing would be refused as dead.
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    adapted.save_pretrained(folder)
    path = folder / "adapter_config.json"
    written = json.loads(path.read_text())
    written["base_model_name_or_path"] = "base"
    path.write_text(json.dumps(written, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    folder: Path = parser.parse_args().model
    (folder / "base").mkdir(parents=True, exist_ok=True)
    make_tokenizer().save_pretrained(folder / "base")
    base = make_base()
    base.save_pretrained(folder / "base")
    save_adapter(base, folder / "adapter")


if __name__ == "__main__":
    main()
