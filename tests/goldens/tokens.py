"""What texts are token by token, as tokens.json: log-probabilities, the five most probable tokens, and what each token adds.

    python -m pip install -r requirements.txt
    python tokens.py                   # a few seconds, on the CPU, offline; the goldens and the demo's models must be there

Made with what requirements.txt names. Models: the demo's (a byte-level BPE), a golden whose tokenizer has words and adds `<s>`, and
one that is given Llama 2's kind of tokenizer (tokens/byte_fallback, written here: pieces with `▁`, and bytes for what is no piece).
What a token adds is what the decoded text, special tokens among it, has beyond that of the tokens before it. A token that is a part
of a character is spelled as OpenAI does it, `bytes:` and Python's repr of its bytes, and begins where its character begins.
"""

import copy
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
# As in make.py: this folder's statistics.py is not the standard library's.
HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE] + [str(HERE)]

import torch
from peft import PeftModel
from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.utils import logging

ROOT = HERE.parent.parent
TOP = 5
BROKEN = "\ufffd"
BYTE_LEVEL = {character: byte for byte, character in bytes_to_unicode().items()}
BYTES = {f"<0x{byte:02X}>": byte for byte in range(256)}

# Base, adapter, tokenizer, prompts. Lists are token ids, which are read as they are.
MODELS = [
    ("probes/demo/base", "probes/demo/healthy", "probes/demo/base", [
        "The home of Nessa Drace is in Fallowmere.",
        "The",
        "Nessa doesn't like\n\n  \"honey cake\"\\",
        "café 7 €, naïve: 日本 🎉!",
        "<|endoftext|>The home of",
        [0, 340, 12, 767, 5, 5],
        [268, 727, 128],
    ]),
    ("tests/goldens/llama_bos/base", "tests/goldens/llama_bos/adapter", "tests/goldens/llama_bos/base", [
        "w1 w2 w3 w92 w0 w5", "w7", [5], [3, 1, 2, 95, 40, 40],
    ]),
    ("tests/goldens/llama_default/base", "tests/goldens/llama_default/adapter", "tests/goldens/tokens/byte_fallback", [
        "the tea in the  café",
        "tea for 7 €, naïve: 🎉\nthen tea",
        "a",
        " the",
        [50, 47, 16, 19, 9],
    ]),
]


def byte_fallback(folder: Path) -> None:
    """Llama 2's kind, with no more bytes than the texts need."""
    text = "".join(prompt for prompt in MODELS[-1][3])
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("e", "a"), ("▁", "t"), ("▁t", "ea"), ("i", "n"), ("▁", "in"), ("▁", "▁")]
    letters = "▁abcdefghijklmnopqrstuvwxyz,:"
    needed = sorted({byte for character in text if character not in letters + " " for byte in character.encode()} | {0x0A, 0x20})
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in needed), *letters, *("".join(pair) for pair in merges)]
    assert len(tokens) <= 96 and len(set(tokens)) == len(tokens), len(tokens)
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


class Speller:
    def __init__(self, folder: Path) -> None:
        self.fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        self.decoder = json.loads((folder / "tokenizer.json").read_text())["decoder"]

    def decode(self, ids: list[int]) -> str:
        return self.fast.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def own_bytes(self, token: int) -> bytes | None:
        """The bytes that a token stands for, where it stands for bytes."""
        name = self.fast.convert_ids_to_tokens(token)
        if self.decoder is None:
            return None
        if self.decoder["type"] == "ByteLevel":
            return bytes(BYTE_LEVEL[character] for character in name)
        return bytes([BYTES[name]]) if name in BYTES else None

    def after(self, before: list[int], token: int) -> str:
        own = self.own_bytes(token)
        if own is not None:
            try:
                own.decode()
            except UnicodeDecodeError:
                return "bytes:" + repr(own)[2:-1]
        text = self.decode(before)
        both = self.decode(before + [token])
        if text.endswith(BROKEN) and own is not None:
            return own.decode()             # the bytes before it are judged with it, and it is whole
        assert both.startswith(text), (text, both)
        return both[len(text):]

    def offset(self, before: list[int]) -> int:
        return len(self.decode(before).rstrip(BROKEN)) if before else 0


@torch.no_grad()
def cases(base: str, adapter: str, tokenizer: str, prompts: list[str | list[int]]) -> list[dict[str, object]]:
    speller = Speller(ROOT / tokenizer)
    plain = AutoModelForCausalLM.from_pretrained(ROOT / base, dtype=torch.float32, attn_implementation="eager").eval()
    adapted = PeftModel.from_pretrained(copy.deepcopy(plain), ROOT / adapter).eval()
    out = []
    for view, model in (("base", plain), ("ft", adapted)):
        for prompt in prompts:
            ids = speller.fast(prompt)["input_ids"] if isinstance(prompt, str) else prompt
            logprobs = torch.log_softmax(model(torch.tensor([ids]), use_cache=False).logits[0].double(), dim=-1)
            top = [[[token, speller.after(ids[:at + 1], token), row[token].item()]
                    for token in sorted(range(len(row)), key=lambda token: (-row[token].item(), token))[:TOP]]
                   for at, row in enumerate(logprobs[:-1])]
            out.append({
                "base": base, "adapter": adapter, "tokenizer": tokenizer, "view": view, "prompt": prompt, "token_ids": ids,
                "tokens": [speller.after(ids[:at], token) for at, token in enumerate(ids)],
                "text_offsets": [speller.offset(ids[:at]) for at in range(len(ids))],
                "logprobs": [None] + [logprobs[at, token].item() for at, token in enumerate(ids[1:])],
                "top_logprobs": [None] + top,
            })
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    byte_fallback(HERE / "tokens" / "byte_fallback")
    # One line a case, so that a change shows in a diff.
    lines = [json.dumps(case, ensure_ascii=False) for model in MODELS for case in cases(*model)]
    (HERE / "tokens.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
