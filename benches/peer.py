#!/usr/bin/env python3
"""Answers the requests of `sway score` with the Python peer, dlm-sway 0.1.0 (transformers + peft):
one at a time, on the view that each names, as that tool does.

    python benches/peer.py MODEL_DIR REQUESTS ANSWERS [--dtype fp32|bf16]
    python benches/peer.py MODEL_DIR REQUESTS ANSWERS --tokens    # which tokens the peer scores; no model

Prints one JSON line: `load_s` (imports and weights) and `answering_s`.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402  (the clock starts before the imports)
import json  # noqa: E402
import os  # noqa: E402
from contextlib import AbstractContextManager  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")

Row = dict[str, Any]


def scored_tokens(tokenizer: Any, row: Row) -> Row:
    """The tokens of a completion as the peer counts them: it tokenises the prompt alone and the whole
    string, and drops as many tokens of the whole as the prompt alone has. Where the tokenizer joins
    the end of the prompt to the completion (`merged`), that drops a token which ends after the prompt.
    """
    prompt = tokenizer(row["prompt"]).input_ids
    whole = tokenizer(row["prompt"] + row["completion"]).input_ids
    return {"token_ids": whole[len(prompt) :], "merged": whole[: len(prompt)] != prompt}


class Peer:
    def __init__(self, model: Path, dtype: str) -> None:
        from dlm_sway.backends.hf import HuggingFaceDifferentialBackend
        from dlm_sway.core.model import ModelSpec

        spec = ModelSpec(base=str(model / "base"), dtype=dtype)
        self.backend = HuggingFaceDifferentialBackend(base_spec=spec, adapter_path=model / "adapter")
        self.generated: list[int] = []
        # The peer's `generate` gives text alone; a look at what its model returned costs nothing and
        # lets tokens be compared.
        generate = self.backend._peft_model.generate

        def recorded(**arguments: Any) -> Any:
            out = generate(**arguments)
            self.generated = out[0, arguments["input_ids"].shape[1] :].tolist()
            return out

        self.backend._peft_model.generate = recorded

    def view(self, name: str) -> AbstractContextManager[Any]:
        if name == "base":
            return self.backend.as_base()
        if name == "ft":
            return self.backend.as_finetuned()
        return self.backend.as_scaled_adapter(float(name.removeprefix("scaled_")))

    def answer(self, row: Row) -> Row:
        with self.view(row["view"]) as view:
            match row["op"]:
                case "logprob_of":
                    return {"logprob": view.logprob_of(row["prompt"], row["completion"])}
                case "rolling_logprob":
                    rolled = view.rolling_logprob(row["text"])
                    return {"total_logprob": rolled.total_logprob, "logprobs": rolled.logprobs.tolist()}
                case "next_token_dist":
                    dist = view.next_token_dist(row["prompt"], top_k=row["top_k"])
                    return {"token_ids": dist.token_ids.tolist(), "logprobs": dist.logprobs.tolist()}
                case "generate":
                    text = view.generate(row["prompt"], max_new_tokens=row["max_new_tokens"])
                    # sway gives the tokens before the one that ended the text.
                    ended = self.generated[-1:] == [self.backend._tokenizer.eos_token_id]
                    return {"text": text, "token_ids": self.generated[:-1] if ended else self.generated}
                case op:
                    raise SystemExit(f"unknown op {op!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("requests", type=Path, metavar="REQUESTS")
    parser.add_argument("answers", type=Path, metavar="ANSWERS")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--tokens", action="store_true")
    options = parser.parse_args()
    with options.requests.open(encoding="utf-8") as lines:
        rows: list[Row] = [json.loads(line) for line in lines]
    if options.tokens:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(options.model / "base")
        rows = [row for row in rows if row["op"] == "logprob_of"]
        answers = [scored_tokens(tokenizer, row) for row in rows]
        loaded = STARTED
    else:
        peer = Peer(options.model, options.dtype)
        loaded = time.perf_counter()
        answers = [peer.answer(row) for row in rows]
    finished = time.perf_counter()
    with options.answers.open("w") as out:
        for row, answer in zip(rows, answers, strict=True):
            out.write(json.dumps({"id": row["id"], "op": row["op"], **answer}) + "\n")
    print(json.dumps({"load_s": loaded - STARTED, "answering_s": finished - loaded}))


if __name__ == "__main__":
    main()
