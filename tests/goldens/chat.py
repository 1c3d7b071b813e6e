"""What transformers makes of conversations, and what a model answers to them: chat/conversations.json.

    python chat.py

Templates of the constructs that those of the hub use (ours, not theirs) stand in chat/templates.
The clock that `strftime_now` reads is stopped. A case without a text is one that the template refuses.
"""

import datetime
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE] + [str(HERE)]

import jinja2
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

BASE = HERE / "llama_bos" / "base"          # its post-processor puts <s> first
NOW = datetime.datetime(2026, 3, 9, 14, 5, 6)


class StoppedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = StoppedClock

SYSTEM = {"role": "system", "content": " w1 w2 "}
USER = {"role": "user", "content": " w3 w4 w5\n"}
ASSISTANT = {"role": "assistant", "content": "w6 w7 "}
AGAIN = {"role": "user", "content": "w8"}
THOUGHT = {"role": "assistant", "content": "<think>\nw9 w10\n</think>\n\nw11"}
REASONED = {"role": "assistant", "content": "w11", "reasoning": "w12 w13"}
NULLS = {"role": "assistant", "content": "w11", "tool_calls": None, "reasoning_content": None}
PARTS = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " w14 w15 "}]}
ARGUMENTS = {"text": "é <b> \"w16\"", "count": 2, "share": 0.5, "tiny": 1e-07, "on": True, "off": None, "list": [1, [], {}]}
CALL = {"role": "assistant", "tool_calls": [
    {"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": ARGUMENTS}}]}
SPOKEN_CALL = CALL | {"content": "w17"}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "content": "w18 w19"}
MAPPED = {"role": "tool", "tool_call_id": "abcdefghi", "content": {"found": ["w18", 3]}}
TOOL = {"type": "function", "function": {
    "name": "look", "description": "Looks \"around\" for <things> & more",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}, "count": {"type": "integer", "default": 2}},
                   "required": ["text"]}}}
ODD = [{"role": "user", "content": "banana"}, {"role": "skip"}, {"role": "tool", "content": "", "name": "look"},
       {"role": "stop"}, {"role": "user", "content": "never"}]

CONVERSATIONS = {
    "one": dict(messages=[USER]),
    "closed": dict(messages=[USER], add_generation_prompt=False),
    "turns": dict(messages=[SYSTEM, USER, ASSISTANT, AGAIN]),
    "answered": dict(messages=[USER, ASSISTANT], add_generation_prompt=False),
    "not in turn": dict(messages=[USER, AGAIN]),
    "thought": dict(messages=[USER, THOUGHT, AGAIN, THOUGHT]),
    "reasoned": dict(messages=[USER, REASONED], add_generation_prompt=False),
    "nulls": dict(messages=[USER, NULLS, AGAIN]),
    "parts": dict(messages=[PARTS]),
    "tools": dict(messages=[SYSTEM, USER], tools=[TOOL]),
    "call": dict(messages=[USER, CALL, RESULT], tools=[TOOL, TOOL]),
    "spoken call": dict(messages=[USER, SPOKEN_CALL, RESULT, RESULT, ASSISTANT, AGAIN]),
    "mapped result": dict(messages=[USER, CALL, MAPPED]),
    "kwargs": dict(messages=[USER], chat_template_kwargs=dict(
        enable_thinking=False, date_string="w20", tools_in_user_message=False), tools=[TOOL]),
    "odd": dict(messages=ODD),
}


def rendered(tokenizer, conversation, **more):
    conversation = dict(conversation)
    kwargs = dict(add_generation_prompt=conversation.pop("add_generation_prompt", True), **more)
    kwargs |= conversation.pop("chat_template_kwargs", {})
    return tokenizer.apply_chat_template(conversation.pop("messages"), **kwargs, **conversation)


@torch.no_grad()
def score(model, tokenizer, template, name, completion=" w21 w22 w23"):
    """The log-probabilities of a completion after the rendered conversation, as one text."""
    tokenizer.chat_template = (HERE / "chat" / "templates" / f"{template}.jinja").read_text()
    text = rendered(tokenizer, CONVERSATIONS[name], tokenize=False)
    prompt, ids = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in (text, text + completion))
    logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    found = [logprobs[i - 1, ids[i]].item() for i in range(len(prompt), len(ids))]
    return dict(template=template, conversation=CONVERSATIONS[name], completion=completion, logprobs=found)


def main():
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(BASE / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    cases = []
    for path in sorted((HERE / "chat" / "templates").glob("*.jinja")):
        tokenizer.chat_template = path.read_text()
        for name, conversation in CONVERSATIONS.items():
            if (path.stem == "odds") != (name == "odd"):
                continue
            case = dict(template=path.stem, name=name, conversation=conversation)
            try:
                case["text"] = rendered(tokenizer, conversation, tokenize=False)
                case["token_ids"] = rendered(tokenizer, conversation, tokenize=True, return_dict=False)
            except (jinja2.exceptions.TemplateError, TypeError) as error:
                case["refused"] = str(error)
            cases.append(case)
    scored = [score(model, tokenizer, template, name) for template in ("qwen2", "phi3") for name in ("one", "turns")]
    golden = dict(scored=scored, now=NOW.isoformat(), specials=tokenizer.special_tokens_map, cases=cases)
    (HERE / "chat" / "conversations.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(cases)} cases, {sum('refused' in case for case in cases)} of them refused")


main()
