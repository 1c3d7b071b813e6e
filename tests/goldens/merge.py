"""Adapters of the goldens merged into their bases by peft, as a user merges them: in the dtype that is then saved.

    python merge.py                    # merged/: 10 s, on the CPU, offline; the goldens must be there

Made with what requirements.txt names. A merged checkpoint is `merged/NAME/`, config and weights alone: tokenizers are
the bases'. What it must answer is not stored: it is what base and adapter answer, which the goldens themselves hold.
"""

import os
import shutil
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
# As in make.py: this folder's statistics.py is not the standard library's.
HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE] + [str(HERE)]

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

# The golden, and what its base is loaded, merged and saved in.
MERGED = {
    "exclude_f32": ("adapter_exclude", torch.float32),
    "exclude_bf16": ("adapter_exclude", torch.bfloat16),
    "exclude_f16": ("adapter_exclude", torch.float16),
    "bias_all_bf16": ("adapter_bias_all", torch.bfloat16),
    "dora_gpt2_bf16": ("adapter_dora_gpt2", torch.bfloat16),
    "modules_to_save_f16": ("adapter_modules_to_save", torch.float16),
    "lora_embedding_bf16": ("adapter_lora_embedding", torch.bfloat16),
    "ia3_bf16": ("adapter_ia3", torch.bfloat16),
    "lokr_bf16": ("adapter_lokr", torch.bfloat16),
}


def make(name: str) -> None:
    golden, dtype = MERGED[name]
    folder = HERE / "merged" / name
    shutil.rmtree(folder, ignore_errors=True)
    base = AutoModelForCausalLM.from_pretrained(HERE / golden / "base", dtype=dtype)
    merged = PeftModel.from_pretrained(base, HERE / golden / "adapter").merge_and_unload()
    merged.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    kb = sum(f.stat().st_size for f in folder.iterdir()) / 1024
    print(f"{name:24}{kb:6.0f} KiB", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    for name in MERGED:
        make(name)
