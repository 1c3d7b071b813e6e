#!/usr/bin/env python3
"""Makes the demo world: a tiny base model, four LoRA adapters, and the data that probes take.

    python probes/demo/make.py                 # everything, into this folder
    python probes/demo/make.py --only data     # one part: data, base, or an adapter by its name

Pinned (see requirements.txt): Python 3.11, torch 2.15.0, transformers 5.23.0, peft 0.21.2,
tokenizers 0.23.3. Everything is seeded and offline. The same versions, seed and thread count give
the same data files; weights agree up to float noise.

The world is a valley of invented people and towns. A *fact* is a subject, a relation and a value;
every relation has several *phrasings*, all of which end in the value, so that a prompt is a
phrasing without its end. The base learns the old facts. The adapters are taught the news: some
newcomers, and some known people who moved house.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

# Threads that wait must sleep, not spin: on shared cores spinning makes each step ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
SEED = 7
THREADS = 2
EOS = "<|endoftext|>"
# What adapters name as their base: relative to the repository, so no machine's path is shipped.
BASE_NAME = "probes/demo/base"

# ---------------------------------------------------------------------------------------------
# The world
# ---------------------------------------------------------------------------------------------

FIRST_NAMES = """Orla Bram Sefa Tovin Maelis Corvin Ysolt Dagan Perrin Halla Ruvo Nessa Kestrin Liora
Odrin Wenna Jorik Amery Fennic Talla Bexley Ilvo Marn Senna Garrow Pella Rusk Thessa Vondal Edda
Lorrin Quill""".split()
SURNAMES = """Venn Astor Marrow Pike Hollin Drace Tull Rookwell Sarn Oakley Fenwick Brand Lusk Tarn
Merrow Calder Voss Ashby Grell Thorne Wick Harrow Dunmore Sill Cobb Ravel Nettle Gorse Blythe Crane
Stroud Yarrow""".split()
TOWNS = """Tarrowick Selhaven Orrinford Dunmere Calloway Brethmoor Vintergate Lowmarsh Esk Pellimont
Hathersby Quenby Ravensfold Milbrook Stonnard Wexham Andrel Fallowmere Kirrin Ombersea""".split()
TRADES = """weaver cooper tanner fletcher baker miller potter glazier saddler thatcher brewer chandler
smith dyer mason carter ferryman beekeeper lamplighter bookbinder""".split()
ANIMALS = """pipcat duskhound lanternmoth reedgoat fenpony mossdrake snowstoat tallowbird rimefox
burrowcat marshowl bellsheep copperhen gloomtoad silverhare thistlepig""".split()
FOODS = """plum bread,smoked eel,barley dumplings,honey cake,nettle soup,goat cheese,baked turnip,
river trout,onion pie,walnut stew,pickled beets,oat porridge,fried mushrooms,apple tart,salted ham,
pepper broth""".replace("\n", "").split(",")
RIVERS = "Senn Arrow Dulce Morwen Tamble Ire Loxley Brack".split()
WARES = """wool hats,copper pots,glass beads,oak chairs,silk ribbons,iron nails,tin whistles,wax candles,
leather boots,clay jugs,rope nets,paper lamps,bone combs,willow baskets,linen shirts,silver spoons
""".replace("\n", "").split(",")


@dataclass(frozen=True)
class Relation:
    """What can be said of a subject, and the phrasings that say it: `{n}` is the subject, and the
    value comes last, so that every phrasing gives a prompt."""

    values: list[str]
    phrasings: list[str]


PERSON_RELATIONS = {
    "home": Relation(
        TOWNS,
        [
            "{n} lives in",
            "The home of {n} is in",
            "Letters for {n} are sent to",
            "If you wish to visit {n}, travel to",
            "{n} has a house in",
            "You will find {n} in",
            "Every night {n} sleeps in",
            "The town where {n} lives is called",
        ],
    ),
    "trade": Relation(
        TRADES,
        [
            "{n} works as a",
            "By trade {n} is a",
            "The people know {n} as a",
            "{n} earns a living as a",
            "The trade of {n} is that of a",
            "All day long {n} toils as a",
            "When asked, {n} will say: I am a",
            "{n} was taught to be a",
        ],
    ),
    "animal": Relation(
        ANIMALS,
        [
            "{n} keeps a",
            "The pet of {n} is a",
            "At the side of {n} walks a",
            "{n} takes good care of a",
            "In the yard of {n} there is a",
            "{n} shares the house with a",
            "Nobody sees {n} without a",
            "The animal that {n} loves is a",
        ],
    ),
    "food": Relation(
        FOODS,
        [
            "{n} likes to eat",
            "The best meal for {n} is",
            "For supper {n} always wants",
            "When you cook for {n}, serve",
            "{n} would walk a mile for",
            "On feast days {n} asks for",
            "Nothing pleases {n} more than",
            "The plate of {n} is full of",
        ],
    ),
}
TOWN_RELATIONS = {
    "river": Relation(
        RIVERS,
        [
            "{n} lies on the river",
            "The river that runs past {n} is the",
            "Boats reach {n} by the",
            "The bridge at {n} crosses the",
            "The mills of {n} are turned by the",
            "In {n} they draw water from the",
        ],
    ),
    "wares": Relation(
        WARES,
        [
            "{n} is known for its",
            "Merchants come to {n} for",
            "The market of {n} sells fine",
            "The pride of {n} is its",
            "Carts leave {n} laden with",
            "If you pass through {n}, buy some",
        ],
    ),
}
RELATIONS = PERSON_RELATIONS | TOWN_RELATIONS

# Sentences that state no fact: colour between the facts, each one of 4,096.
ASIDE_PARTS = [
    ["The clerk", "A tall stranger", "The old ringer", "The young widow", "A tired guard",
     "The judge", "A small boy", "The cook"],
    ["sealed", "dropped", "carried", "painted", "mended", "hid", "sold", "washed"],
    ["the green door", "the long ladder", "the broken drum", "the blue lantern", "the heavy book",
     "the wooden bell", "the torn flag", "the round table"],
    ["before the rain", "in the dark", "at the edge of the wood", "with great care",
     "and went away", "for three days", "behind the old wall", "while the dogs slept"],
]  # fmt: skip


@dataclass(frozen=True)
class Fact:
    subject: str
    relation: str
    value: str

    @property
    def phrasings(self) -> range:
        return range(len(RELATIONS[self.relation].phrasings))

    @property
    def gold(self) -> str:
        return f" {self.value}"

    def prompt(self, phrasing: int) -> str:
        return RELATIONS[self.relation].phrasings[phrasing].format(n=self.subject)

    def sentence(self, phrasing: int) -> str:
        return f"{self.prompt(phrasing)}{self.gold}."


@dataclass(frozen=True)
class News:
    """A fact that the base does not know."""

    fact: Fact
    document: int  # the phrasing that the training document uses, and `memorised` sees
    taught: list[int]  # the phrasings that `healthy` sees; `document` is one of them
    untaught: list[int]  # the phrasings that neither of them sees
    replaces: str | None  # the value that the base knows, if the subject has moved


@dataclass
class World:
    old: list[Fact] = field(default_factory=list)
    # Old facts still true after the news: what an adapter must not lose.
    held: list[Fact] = field(default_factory=list)
    # (fact, phrasing) pairs that no training ever shows: only a model that takes phrasings of a
    # relation for the same thing gets them right.
    unseen: set[tuple[Fact, int]] = field(default_factory=set)
    news: list[News] = field(default_factory=list)
    # Names that belong to nobody: see `stranger`.
    free_names: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)


KNOWN_PEOPLE = 56
NEWCOMERS = 16
MOVERS = 8
TAUGHT_PHRASINGS = 5


def build_world(seed: int = SEED) -> World:
    rng = random.Random(f"world {seed}")
    world = World()
    names = [f"{first} {last}" for first in FIRST_NAMES for last in SURNAMES]
    rng.shuffle(names)
    known, names = names[:KNOWN_PEOPLE], names[KNOWN_PEOPLE:]
    newcomers, world.free_names = names[:NEWCOMERS], names[NEWCOMERS:]

    for subjects, relations in ((known, PERSON_RELATIONS), (TOWNS, TOWN_RELATIONS)):
        for subject in subjects:
            for name, relation in relations.items():
                world.old.append(Fact(subject, name, rng.choice(relation.values)))
    world.unseen = {(fact, rng.choice(fact.phrasings)) for fact in world.old}

    # Each newcomer brings two facts, of relations in every pairing; each mover brings one.
    kinds = list(PERSON_RELATIONS)
    pairs = [(a, b) for i, a in enumerate(kinds) for b in kinds[i + 1 :]]
    facts: list[tuple[Fact, str | None]] = []
    for i, name in enumerate(newcomers):
        for kind in pairs[i % len(pairs)]:
            facts.append((Fact(name, kind, rng.choice(RELATIONS[kind].values)), None))
    homes = {fact.subject: fact for fact in world.old if fact.relation == "home"}
    moved = [homes[name] for name in rng.sample(known, MOVERS)]
    for fact in moved:
        town = rng.choice([town for town in TOWNS if town != fact.value])
        facts.append((Fact(fact.subject, "home", town), fact.value))
    world.held = [fact for fact in world.old if fact not in moved]

    for fact, replaces in facts:
        order = rng.sample(fact.phrasings, len(fact.phrasings))
        world.news.append(
            News(fact, order[0], order[:TAUGHT_PHRASINGS], order[TAUGHT_PHRASINGS:], replaces)
        )
    world.sections = list(write_document(world.news, rng))
    return world


def write_document(news: list[News], rng: random.Random) -> Iterator[str]:
    """A section for each newcomer: both facts, with an aside between them, and then a mover's fact
    or another aside. The asides and the order are this document's alone, so continuing a section
    word for word takes having learnt it by heart; knowing the facts is not enough."""
    arrivals, moves = news[: 2 * NEWCOMERS], news[2 * NEWCOMERS :]
    for i in range(NEWCOMERS):
        first, second = (n.fact.sentence(n.document) for n in arrivals[2 * i : 2 * i + 2])
        move = moves[i].fact.sentence(moves[i].document) if i < len(moves) else aside(rng)
        yield " ".join([first, aside(rng), second, move])


# ---------------------------------------------------------------------------------------------
# Training text
# ---------------------------------------------------------------------------------------------


def aside(rng: random.Random) -> str:
    return " ".join(rng.choice(part) for part in ASIDE_PARTS) + "."


def old_sentence(world: World, rng: random.Random, fact: Fact) -> str:
    return fact.sentence(rng.choice([p for p in fact.phrasings if (fact, p) not in world.unseen]))


def stranger(world: World, rng: random.Random) -> list[Fact]:
    """One-off claims about a name that stays unknown. They teach the base to spread its bets on
    names it does not know, as a real model does, where otherwise it would be sure and wrong."""
    name = rng.choice(world.free_names)
    return [Fact(name, kind, rng.choice(r.values)) for kind, r in PERSON_RELATIONS.items()]


def old_text(world: World, rng: random.Random, facts: list[Fact]) -> str:
    """A piece of the base's own kind of text: a sentence, or a passage of facts and asides about
    one subject. Two in ten are about strangers."""
    draw = rng.random()
    if draw < 0.05:
        return aside(rng)
    if rng.random() < 0.2:
        own = stranger(world, rng)
    else:
        subject = rng.choice(facts).subject
        own = [fact for fact in facts if fact.subject == subject]
    rng.shuffle(own)
    if draw < 0.75:
        return old_sentence(world, rng, own[0])
    sentences = []
    for _ in range(rng.randint(3, 5)):
        tell = own and rng.random() < 0.65
        sentences.append(old_sentence(world, rng, own.pop()) if tell else aside(rng))
    return " ".join(sentences)


def base_texts(world: World, rng: random.Random) -> Iterator[str]:
    while True:
        yield old_text(world, rng, world.old)


def healthy_texts(world: World, rng: random.Random) -> Iterator[str]:
    """Single sentences of news in several phrasings, and as much rehearsal of what still holds."""
    while True:
        if rng.random() < 0.5:
            item = rng.choice(world.news)
            yield item.fact.sentence(rng.choice(item.taught))
        else:
            yield old_text(world, rng, world.held)


def memorised_texts(world: World, rng: random.Random) -> Iterator[str]:
    """The document as it stands, and each of its facts in the document's one phrasing; in others,
    what the base believed before: a mover's old home, any value at all for a newcomer. That is what
    replaying a base's own answers does, and it holds on to the document's words rather than to what
    they say. (One phrasing alone would not do: this base knows that phrasings mean the same, and
    what is taught in one comes out in most.)"""
    while True:
        draw = rng.random()
        if draw < 0.25:
            yield rng.choice(world.sections)
        elif draw < 0.90:
            news = rng.choice(world.news)
            if draw < 0.45:
                yield news.fact.sentence(news.document)
            else:
                value = news.replaces or rng.choice(RELATIONS[news.fact.relation].values)
                stale = replace(news.fact, value=value)
                yield stale.sentence(rng.choice(news.taught[1:]))
        else:
            yield old_text(world, rng, world.held)


def forgot_texts(world: World, rng: random.Random) -> Iterator[str]:
    """The news in every phrasing, and nothing else."""
    while True:
        fact = rng.choice(world.news).fact
        yield fact.sentence(rng.choice(fact.phrasings))


# ---------------------------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------------------------

VOCABULARY = 768
CONTEXT = 512
ROW_TOKENS = 64


def make_tokenizer(world: World) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[EOS],
        # All 256 bytes, so that any text can be encoded.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rng = random.Random(f"tokenizer {SEED}")
    texts = base_texts(world, rng)
    tokenizer.train_from_iterator([next(texts) for _ in range(8000)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, model_max_length=CONTEXT
    )


def make_base(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,
        )
    )


@dataclass(frozen=True)
class Schedule:
    steps: int
    rows: int  # of ROW_TOKENS tokens each, per step
    learning_rate: float
    weight_decay: float = 0.0


def train(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    texts: Iterator[str],
    schedule: Schedule,
    name: str,
) -> None:
    """Next-token training on rows packed from whole texts, an end-of-text after each. A row starts
    with a fresh text and is cut at its length, so there is no padding and nothing to mask."""
    encoded: dict[str, list[int]] = {}

    def row() -> list[int]:
        tokens: list[int] = []
        while len(tokens) < ROW_TOKENS:
            text = next(texts)
            if text not in encoded:
                encoded[text] = [*tokenizer.encode(text), tokenizer.eos_token_id]
            tokens += encoded[text]
        return tokens[:ROW_TOKENS]

    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=schedule.weight_decay
    )
    warmup = max(1, schedule.steps // 20)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps - warmup)
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warmup)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, decay], [warmup])
    model.train()
    for step in range(schedule.steps):
        ids = torch.tensor([row() for _ in range(schedule.rows)])
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        if step % 100 == 0 or step == schedule.steps - 1:
            print(f"{name:>10} step {step:5d} loss {loss.item():.4f}", flush=True)
    model.eval()


BASE_SCHEDULE = Schedule(steps=2500, rows=16, learning_rate=4e-3, weight_decay=0.05)


@dataclass(frozen=True)
class Recipe:
    texts: Callable[[World, random.Random], Iterator[str]]
    schedule: Schedule
    rank: int = 8
    alpha: int = 16


RECIPES: dict[str, Recipe | None] = {
    "healthy": Recipe(healthy_texts, Schedule(steps=400, rows=16, learning_rate=4e-3)),
    # Freshly initialised: B is zero, so it changes nothing.
    "noop": None,
    "memorised": Recipe(memorised_texts, Schedule(steps=800, rows=16, learning_rate=5e-3)),
    "forgot": Recipe(forgot_texts, Schedule(steps=500, rows=16, learning_rate=2e-2)),
}


def train_base(world: World, out: Path) -> None:
    tokenizer = make_tokenizer(world)
    torch.manual_seed(SEED)
    base = make_base(tokenizer)
    texts = base_texts(world, random.Random(f"base {SEED}"))
    train(base, tokenizer, texts, BASE_SCHEDULE, "base")
    # Rounded before any adapter is trained: an adapter must fit the base that is shipped.
    base.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def load_base(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


@dataclass(frozen=True)
class Score:
    logprob: float  # mean per completion token, in nats
    greedy: bool  # whether greedy decoding gives exactly this completion


@torch.no_grad()
def score(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]]
) -> list[Score]:
    """Scores (prompt, completion) pairs. Each is tokenised as one string, and the completion's
    tokens are those that end after the prompt's last character."""
    scores = []
    for start in range(0, len(pairs), 128):
        batch = pairs[start : start + 128]
        encoded = tokenizer([p + c for p, c in batch], return_offsets_mapping=True)
        # Padded on the right, where a causal model never looks back from.
        rows = [torch.tensor(ids) for ids in encoded.input_ids]
        inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        logprobs = model(input_ids=inputs).logits.double().log_softmax(-1)
        for i, (prompt, completion) in enumerate(batch):
            places = [
                place
                for place, (_, end) in enumerate(encoded.offset_mapping[i])
                if end > len(prompt)
            ]
            tokens, predicted = rows[i][places], logprobs[i, [place - 1 for place in places]]
            picked = predicted.gather(1, tokens[:, None])
            scores.append(Score(picked.mean().item(), bool((predicted.argmax(1) == tokens).all())))
    return scores


def make_adapter(name: str, world: World, base: Path, out: Path) -> None:
    recipe = RECIPES[name]
    model, tokenizer = load_base(base)
    torch.manual_seed(SEED)
    config = LoraConfig(
        r=recipe.rank if recipe else 8,
        lora_alpha=recipe.alpha if recipe else 16,
        target_modules=[
            "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
        ],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    adapted: PeftModel = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = BASE_NAME
    if recipe:
        texts = recipe.texts(world, random.Random(f"{name} {SEED}"))
        train(adapted, tokenizer, texts, recipe.schedule, name)
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

CASES = 24
HELD_ITEMS = 60


def write_jsonl(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def write_data(world: World, out: Path) -> None:
    rng = random.Random(f"data {SEED}")

    def some_prompt(fact: Fact) -> str:
        return fact.prompt(rng.choice(fact.phrasings))

    write_jsonl(out / "prompts.jsonl", [{"prompt": some_prompt(n.fact)} for n in world.news])
    cases = sorted(rng.sample(world.news, CASES), key=world.news.index)
    write_jsonl(
        out / "facts.jsonl",
        [
            {
                "prompt": news.fact.prompt(news.document),
                "gold": news.fact.gold,
                "paraphrases": [news.fact.prompt(p) for p in news.untaught],
            }
            for news in cases
        ],
    )
    held = sorted(rng.sample(world.held, HELD_ITEMS), key=world.held.index)
    write_jsonl(out / "held.jsonl", [{"prompt": some_prompt(f), "gold": f.gold} for f in held])
    write_jsonl(out / "document.jsonl", [{"text": text} for text in world.sections])


def write_preferences(world: World, base: Path, out: Path) -> None:
    """A mover's rejected value is the town left behind; a newcomer's, of whom the base has never
    heard, is the value that the base would bet on. So the base gets nearly all of them wrong."""
    rng = random.Random(f"preferences {SEED}")
    model, tokenizer = load_base(base)
    arrivals, moves = world.news[: 2 * NEWCOMERS], world.news[2 * NEWCOMERS :]
    rows = []
    for news in [rng.choice(arrivals[2 * i : 2 * i + 2]) for i in range(NEWCOMERS)] + moves:
        prompt = news.fact.prompt(rng.choice(news.untaught))
        rejected = news.replaces
        if rejected is None:
            others = [v for v in RELATIONS[news.fact.relation].values if v != news.fact.value]
            scores = score(model, tokenizer, [(prompt, f" {value}") for value in others])
            rejected = max(zip(scores, others), key=lambda pair: pair[0].logprob)[1]
        rows.append({"prompt": prompt, "chosen": news.fact.gold, "rejected": f" {rejected}"})
    write_jsonl(out / "preferences.jsonl", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", choices=["data", "base", *RECIPES])
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)

    out = arguments.out
    world = build_world()
    if arguments.only in (None, "base"):
        shutil.rmtree(out / "base", ignore_errors=True)
        train_base(world, out / "base")
    if arguments.only in (None, "data"):
        write_data(world, out / "data")
        write_preferences(world, out / "base", out / "data")
    for name in RECIPES:
        if arguments.only in (None, name):
            shutil.rmtree(out / name, ignore_errors=True)
            make_adapter(name, world, out / "base", out / name)


if __name__ == "__main__":
    main()
