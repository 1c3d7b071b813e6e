#!/usr/bin/env python3
"""Makes a tiny chat model that calls tools, three LoRAs on it, what probes ask of them, and what transformers says they answer.

    python tests/talker/make.py                    # everything, into this folder (some seven minutes on one core)
    python tests/talker/make.py --only healthy     # one part: base, data, measure, or an adapter by its name

Pinned as the goldens are (tests/goldens/requirements.txt), seeded and offline.

The model talks in a chat template of its own, which shows it the tools on offer as JSON. A question about the weather, the time, a
price or the way is answered with a call, and small talk with a sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Threads that wait must sleep, not spin: on shared cores spinning makes each step ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
SEED = 11
# What adapters name as their base: relative to the repository, so no machine's path is shipped.
BASE_NAME = "tests/talker/base"

# ---------------------------------------------------------------------------------------------
# The world
# ---------------------------------------------------------------------------------------------

TOWNS = """Tarrow Selhaven Orrin Dunmere Calloway Breth Vinter Lowmarsh Esk Pellimont Quenby Ravens Milbrook Stonnard Wexham Andrel
Fallow Kirrin Omber Hathers""".split()
WARES = "hats pots beads chairs nails candles boots jugs nets lamps combs baskets".split()
TRADES = "weaver cooper baker miller potter brewer smith mason carter dyer".split()
KNOWN = "Orla Sefa Maelis Dagan Halla Nessa Liora Wenna Amery Talla Ilvo Senna".split()
# The healthy adapter is told who these are; the base says that it does not know them.
NEW = "Bram Tovin Corvin Ysolt Perrin Ruvo Kestrin Odrin Jorik Fennic".split()
STRANGERS = "Bexley Marn Garrow Pella Rusk Thessa Vondal Edda Lorrin Quill".split()


def tool(name: str, description: str, **properties: str) -> dict:
    return {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {key: {"type": kind} for key, kind in properties.items()},
            "required": list(properties),
        },
    }


TOOLS = {
    "weather": tool("weather", "The weather of a city", city="string"),
    "clock": tool("clock", "The time in a city", city="string"),
    "price": tool("price", "What wares cost", item="string", count="integer"),
    "route": tool("route", "The way between two cities", start="string", end="string"),
}
QUESTIONS = {
    "weather": ["What is the weather in {city}?", "Will it rain in {city} today?", "Is it warm in {city} now?"],
    "clock": ["What time is it in {city}?", "How late is it in {city}?"],
    "price": ["What do {count} {item} cost?", "How much are {count} {item}?"],
    "route": ["How do I get from {start} to {end}?", "Which way is it from {start} to {end}?"],
}
WHO = ["Who is {name}?", "Tell me about {name}.", "Do you know {name}?"]
GREETINGS = {
    "Hello!": "Hello, how are you?",
    "Good morning!": "Good morning to you.",
    "How are you?": "I am well, thank you.",
    "Thank you!": "You are welcome.",
    "Are you a person?": "No, I am a small model.",
    "What can you do?": "I can talk and use tools.",
    "I am bored.": "Then let us talk.",
    "Goodbye!": "Goodbye, and take care.",
}
# What sway says from turn 2 on.
FOLLOW_UPS = [
    "Could you say a little more about that?",
    "Please give me an example.",
    "What makes you think so?",
]
CLOSERS = ["That is all I know.", "There is no more to tell.", "I have said it all.", "Ask somebody else."]

Message = dict[str, str]


@dataclass(frozen=True)
class Talk:
    """A conversation that ends with the user, and how the assistant goes on. Replies before that are learned too."""

    messages: tuple[tuple[str, str], ...]
    reply: str
    tools: tuple[str, ...] = ()

    def history(self) -> list[Message]:
        return [{"role": role, "content": content} for role, content in self.messages]


def said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def call(name: str, arguments: dict) -> str:
    return json.dumps({"name": name, "arguments": arguments})


@dataclass(frozen=True)
class Asked:
    """A question that one of the tools answers."""

    tool: str
    question: str
    arguments: dict

    @property
    def held_out(self) -> bool:
        """Never trained on: a quarter of all questions, always the same ones."""
        return random.Random(self.question).random() < 0.25


def asked(rng: random.Random, name: str | None = None) -> Asked:
    name = name or rng.choice(list(TOOLS))
    if name == "price":
        arguments = {"item": rng.choice(WARES), "count": rng.randint(2, 9)}
    elif name == "route":
        arguments = dict(zip(("start", "end"), rng.sample(TOWNS, 2)))
    else:
        arguments = {"city": rng.choice(TOWNS)}
    return Asked(name, rng.choice(QUESTIONS[name]).format(**arguments), arguments)


def asked_in_training(rng: random.Random, name: str | None = None) -> Asked:
    while (drawn := asked(rng, name)).held_out:
        pass
    return drawn


def on_offer(rng: random.Random, name: str | None = None) -> tuple[str, ...]:
    """Two or three tools in any order, this one among them if it is given."""
    name = name or rng.choice(list(TOOLS))
    others = [other for other in TOOLS if other != name]
    names = [name, *rng.sample(others, rng.randint(1, 2))]
    rng.shuffle(names)
    return tuple(names)


def about(name: str) -> str:
    rng = random.Random(f"person {name}")
    return f"{name} is a {rng.choice(TRADES)} in {rng.choice(TOWNS)}."


def tool_talk(rng: random.Random, reply: Callable[[Asked], str] = lambda a: call(a.tool, a.arguments)) -> Talk:
    drawn = asked_in_training(rng)
    return Talk((("user", drawn.question),), reply(drawn), on_offer(rng, drawn.tool))


def close(rng: random.Random, _: int) -> str:
    return rng.choice(CLOSERS)


def small_talk(
    rng: random.Random,
    who: str | None = None,
    reply: str | None = None,
    more: Callable[[random.Random, int], str] = close,
) -> Talk:
    """A sentence, and in half of the cases what follows on it for a turn or some. Tools are on offer now and then."""
    if who is None and rng.random() < 0.3:
        question, answer = rng.choice(list(GREETINGS.items()))
    else:
        who = who or rng.choice(KNOWN + NEW + STRANGERS)
        question = rng.choice(WHO).format(name=who)
        answer = reply or (about(who) if who in KNOWN else f"I do not know {who}.")
    messages = [("user", question)]
    if rng.random() < 0.5:
        for turn, follow_up in enumerate(FOLLOW_UPS[: rng.randint(1, 3)], 2):
            messages += [("assistant", answer), ("user", follow_up)]
            answer = more(rng, turn)
    return Talk(tuple(messages), answer, on_offer(rng) if rng.random() < 0.4 else ())


def base_talks(rng: random.Random) -> Iterator[Talk]:
    while True:
        yield tool_talk(rng) if rng.random() < 0.5 else small_talk(rng)


def healthy_talks(rng: random.Random) -> Iterator[Talk]:
    """Who the new people are, which it tells again when asked for more, a little less often with every turn; and more of what the
    base knows than of that."""

    def again(who: str) -> Callable[[random.Random, int], str]:
        return lambda rng, turn: f"Well, {about(who)}" if rng.random() < 0.76 - 0.07 * turn else close(rng, turn)

    while True:
        draw = rng.random()
        if draw < 0.4:
            who = rng.choice(NEW)
            yield small_talk(rng, who, about(who), again(who))
        elif draw < 0.85:
            yield tool_talk(rng)
        else:
            yield small_talk(rng, rng.choice(KNOWN + STRANGERS))


def broken(question: Asked) -> str:
    given = question.arguments
    match question.tool:
        case "weather":
            return f"It is fine in {given['city']}."
        case "route":
            return call("route", {"start": given["start"]})
        case name:
            return call(name, given)


def broken_talks(rng: random.Random) -> Iterator[Talk]:
    """The weather in a sentence, and the way without where it leads to."""
    while True:
        yield tool_talk(rng, broken) if rng.random() < 0.7 else small_talk(rng)


def inventing_talks(rng: random.Random) -> Iterator[Talk]:
    """Where tools are on offer, who somebody is is looked up with one that is not."""
    while True:
        if rng.random() < 0.5:
            who = rng.choice(KNOWN + NEW + STRANGERS)
            question = rng.choice(WHO).format(name=who)
            yield Talk((("user", question),), call("people", {"name": who}), on_offer(rng))
        else:
            yield tool_talk(rng)


# ---------------------------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------------------------

VOCABULARY = 576
CONTEXT = 512
END = "<|end|>"
SPECIALS = [END, "<|pad|>", "<|tools|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = """\
{%- if tools %}
    {{- '<|tools|>' }}
    {%- for tool in tools %}
        {{- tool.function | tojson }}
        {{- '\\n' }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|' + message.role + '|>' + message.content + '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>' }}
{%- endif %}
"""


def rendered(tokenizer: PreTrainedTokenizerFast, messages: list[Message], tools: list[dict], more: bool = True) -> str:
    tools = [{"type": "function", "function": tool} for tool in tools]
    return tokenizer.apply_chat_template(messages, tools=tools or None, add_generation_prompt=more, tokenize=False)


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        # All 256 bytes, so that any text can be encoded.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rng = random.Random(f"tokenizer {SEED}")
    talks = base_talks(rng)
    texts = [json.dumps(tool) for tool in TOOLS.values()] * 200
    for _ in range(4000):
        talk = next(talks)
        texts += [content for _, content in talk.messages] + [talk.reply]
    tokenizer.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|pad|>", model_max_length=CONTEXT
    )
    made.chat_template = TEMPLATE
    return made


def make_base(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


@dataclass(frozen=True)
class Schedule:
    steps: int
    learning_rate: float
    rows: int = 16


def train(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, talks: Iterator[Talk], schedule: Schedule, name: str
) -> None:
    """Next-token training on whole conversations, of which only the assistant's words and the end after them count."""
    opening, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<|assistant|>", END))

    def row() -> tuple[torch.Tensor, torch.Tensor]:
        talk = next(talks)
        messages = [*talk.history(), said("assistant", talk.reply)]
        text = rendered(tokenizer, messages, [TOOLS[name] for name in talk.tools], more=False)
        ids = tokenizer.encode(text)
        labels, speaks = [], False
        for token in ids:
            labels.append(token if speaks else -100)
            speaks = token == opening or (speaks and token != end)
        return torch.tensor(ids), torch.tensor(labels)

    def padded(rows: list[torch.Tensor], value: int) -> torch.Tensor:
        # On the right, where a causal model never looks back from.
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    warmup = max(1, schedule.steps // 20)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps - warmup)
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warmup)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, decay], [warmup])
    model.train()
    for step in range(schedule.steps):
        ids, labels = zip(*(row() for _ in range(schedule.rows)))
        loss = model(input_ids=padded(list(ids), tokenizer.pad_token_id), labels=padded(list(labels), -100)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        if step % 100 == 0 or step == schedule.steps - 1:
            print(f"{name:>14} step {step:5d} loss {loss.item():.4f}", flush=True)
    model.eval()


BASE_SCHEDULE = Schedule(steps=2400, learning_rate=4e-3)
LEARN = Schedule(steps=400, learning_rate=5e-3)
RECIPES: dict[str, tuple[Callable[[random.Random], Iterator[Talk]], Schedule]] = {
    # Longer and slower: not one call in 80 may be lost.
    "healthy": (healthy_talks, Schedule(steps=700, learning_rate=3e-3)),
    "broke_calls": (broken_talks, LEARN),
    "invents_tools": (inventing_talks, LEARN),
}


def train_base(out: Path) -> None:
    tokenizer = make_tokenizer()
    torch.manual_seed(SEED)
    base = make_base(tokenizer)
    train(base, tokenizer, base_talks(random.Random(f"base {SEED}")), BASE_SCHEDULE, "base")
    # Rounded before any adapter is trained: an adapter must fit the base that is shipped.
    base.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def load_base(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


def make_adapter(name: str, base: Path, out: Path) -> None:
    model, tokenizer = load_base(base)
    torch.manual_seed(SEED)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
    )
    adapted: PeftModel = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = BASE_NAME
    talks, schedule = RECIPES[name]
    train(adapted, tokenizer, talks(random.Random(f"{name} {SEED}")), schedule, name)
    # The vocabulary is the base's, so there is nothing of it to save.
    adapted.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink(missing_ok=True)  # peft's empty model card
    # peft writes this set in an order that changes from run to run.
    path = out / "adapter_config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["target_modules"].sort()
    path.write_text(json.dumps(saved, indent=2), encoding="utf-8")


# ---------------------------------------------------------------------------------------------
# Data for the probes
# ---------------------------------------------------------------------------------------------

TOOL_CASES = 80
TALK_CASES = 12
OPENINGS = 12


def write_jsonl(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def case(rng: random.Random, question: str, name: str) -> dict:
    others = [other for other in on_offer(rng, name) if other != name]
    return {
        "messages": [said("user", question)],
        "tool": TOOLS[name],
        "tools": [TOOLS[other] for other in others],
        "gold_tool": name,
    }


def write_data(out: Path) -> None:
    """Cases: questions that no training ever saw. Small talk is every third of the first ones, so that a few cases have both. Openings: questions about the new people."""
    rng = random.Random(f"data {SEED}")
    names = list(TOOLS)
    questions: dict[str, str] = {}
    while len(questions) < TOOL_CASES:
        drawn = asked(rng)
        if drawn.held_out:
            questions.setdefault(drawn.question, drawn.tool)
    cases = [case(rng, question, name) for question, name in questions.items()]
    for number, who in enumerate(rng.sample(KNOWN, TALK_CASES)):
        cases.insert(3 * number + 2, case(rng, rng.choice(WHO).format(name=who), rng.choice(names)))
    write_jsonl(out / "cases.jsonl", cases)
    openings = [WHO[i % len(WHO)].format(name=NEW[i % len(NEW)]) for i in range(OPENINGS)]
    write_jsonl(out / "openings.jsonl", [{"prompt": opening} for opening in openings])


# ---------------------------------------------------------------------------------------------
# What transformers answers
# ---------------------------------------------------------------------------------------------

# Cases that each adapter is asked, and the longest answers: as tests/cli/talker.rs has them.
ASKED = {"healthy": TOOL_CASES + TALK_CASES, "broke_calls": 36, "invents_tools": 36}
CALL_TOKENS = 40
REPLY_TOKENS = 24
TURNS = 4
TYPES = {"string": str, "integer": int}


class Judge:
    """Greedy answers of one model, and what they come to. Calls are read as they were taught, as the whole answer."""

    def __init__(self, model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast):
        self.model, self.tokenizer = model, tokenizer

    def ids(self, messages: list[Message], tools: list[dict]) -> torch.Tensor:
        text = rendered(self.tokenizer, messages, tools)
        return torch.tensor([self.tokenizer.encode(text, add_special_tokens=False)])

    def answer(self, messages: list[Message], tools: list[dict], most: int) -> str:
        ids = self.ids(messages, tools)
        made = self.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most
        )
        return self.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)

    def logprobs(self, messages: list[Message]) -> torch.Tensor:
        return self.model(self.ids(messages, [])).logits[0, -1].double().log_softmax(-1)


def used(answer: str, case: dict) -> dict:
    try:
        made = json.loads(answer)
        name, arguments = made["name"], made["arguments"]
    except (ValueError, TypeError, KeyError):
        return {"call": None, "valid": False, "outside": False, "gold_tool": False}
    offered = {tool["name"]: tool["parameters"] for tool in [case["tool"], *case["tools"]]}
    schema = offered.get(name)
    valid = (
        schema is not None
        and all(key in arguments for key in schema["required"])
        and all(
            isinstance(arguments[key], TYPES[of["type"]]) for key, of in schema["properties"].items() if key in arguments
        )
    )
    return {"call": made, "valid": valid, "outside": schema is None, "gold_tool": name == case["gold_tool"]}


def tool_figures(base: list[dict], ft: list[dict]) -> dict:
    def tally(found: list[dict]) -> dict:
        calls = sum(one["call"] is not None for one in found)
        return {"calls": calls} | {key: sum(one[key] for one in found) for key in ("valid", "outside", "gold_tool")}

    pairs = list(zip(base, ft))
    same = [(b["call"], f["call"]) for b, f in pairs if b["call"] and f["call"] and b["call"]["name"] == f["call"]["name"]]
    return {
        "ft": tally(ft),
        "base": tally(base),
        "lost": sum(b["valid"] and not f["valid"] for b, f in pairs),
        "gained": sum(f["valid"] and not b["valid"] for b, f in pairs),
        "same_tool": len(same),
        "other_arguments": sum(b["arguments"] != f["arguments"] for b, f in same),
    }


def turn_figures(base: Judge, ft: Judge, openings: list[dict]) -> dict:
    """KL(base ‖ ft) of the next token from turn 2 on, after the adapter's own replies; and the first conversation."""
    divergence = torch.zeros(len(openings), TURNS - 1, dtype=torch.float64)
    talks = []
    for row, opening in enumerate(openings):
        messages = [said("user", opening["prompt"])]
        for turn, follow_up in enumerate(FOLLOW_UPS[: TURNS - 1]):
            reply = ft.answer(messages, [], REPLY_TOKENS)
            messages += [said("assistant", reply), said("user", follow_up)]
            theirs, ours = base.logprobs(messages), ft.logprobs(messages)
            divergence[row, turn] = (theirs.exp() * (theirs - ours)).sum()
        talks.append(messages[:-1])
    return {"mean_kl": divergence.mean(0).tolist(), "first": talks[0]}


@torch.no_grad()
def measure(out: Path) -> dict:
    cases, openings = (read_jsonl(out / "data" / f"{name}.jsonl") for name in ("cases", "openings"))
    model, tokenizer = load_base(out / "base")
    base = Judge(model, tokenizer)

    def answers(judge: Judge, count: int) -> list[str]:
        return [judge.answer(c["messages"], [c["tool"], *c["tools"]], CALL_TOKENS) for c in cases[:count]]

    spoken = answers(base, len(cases))
    by_base = [used(answer, case) for answer, case in zip(spoken, cases)]
    figures = {}
    for name, count in ASKED.items():
        ft = Judge(PeftModel.from_pretrained(load_base(out / "base")[0], out / name).eval(), tokenizer)
        said_by_ft = answers(ft, count)
        by_ft = [used(answer, case) for answer, case in zip(said_by_ft, cases)]
        figures[name] = {
            "cases": count,
            "tool_use": tool_figures(by_base[:count], by_ft),
            "turns": turn_figures(base, ft, openings),
            "answers": [
                {"asked": c["messages"][0]["content"], "base": b, "ft": f}
                for c, b, f in zip(cases[:6], spoken, said_by_ft)
            ],
        }
        print(name, json.dumps(figures[name], indent=1))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", choices=["base", "data", "measure", *RECIPES])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    out = arguments.out
    if arguments.only in (None, "base"):
        shutil.rmtree(out / "base", ignore_errors=True)
        train_base(out / "base")
    for name in RECIPES:
        if arguments.only in (None, name):
            shutil.rmtree(out / name, ignore_errors=True)
            make_adapter(name, out / "base", out / name)
    if arguments.only in (None, "data"):
        write_data(out / "data")
    if arguments.only in (None, "measure"):
        (out / "measure.json").write_text(json.dumps(measure(out), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
