"""Reference figures for the text metrics in src/math/text, from rouge_score, sacrebleu and NLTK, as text_metrics.json.

    python -m pip install rouge-score==0.1.2 sacrebleu==2.6.0 nltk==3.10.4
    python text_metrics.py

Made with these on Python 3.11. `rouge_1`, `rouge_l`: F-measures of a RougeScorer without a stemmer. `sentence_bleu`, `chrf`: a
hundredth of what sacrebleu's functions for single sentences say. `levenshtein_similarity`: of NLTK's edit distance, 1 -
distance / longer length, and 1 for two empty texts. `repetition`: of the candidate, seq-rep-4 over its words by its definition.

Texts are written here by hand, each beside itself, its neighbours in the list and a few that differ from it a little, and drawn
from small vocabularies with a fixed seed.
"""

import json
import random
import sys
from pathlib import Path

# This folder has a statistics.py; keep Python from importing it for the standard library's.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import sacrebleu
from nltk.metrics.distance import edit_distance
from nltk.util import ngrams
from rouge_score.rouge_scorer import RougeScorer

HERE = Path(__file__).resolve().parent
ROUGE = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
Json = dict[str, object]

TEXTS = [
    "", " ", "\n", "\t \u00a0\u2003\u3000\n", "\u001c\u001f", "\u200b", "a", "A", "7", ".", "-", "é", "日", "😀", "\u0301",
    # Shorter than the longest n-grams, by words and by characters.
    "the", "the cat", "the cat sat", "the cat sat down", "the cat sat down here", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg",
    # Sentences and punctuation.
    "The cat sat on the mat.", "the cat sat on the mat", "The cat, on the mat, sat!", "On the mat sat the cat .", "mat the on sat cat The.",
    "Don't you (really) know? He said: 'it's fine'; she didn't.", "\"Quoted\" “curly” ‘single’ «guillemets» `ticks` ''two''",
    "a.b,c.d", ".a", ",a", "a.", "a,", "a..b", "a,,b", "...", "....", ",.,.", "a...b..c.d", ". . .", "1.", ".1", "1.2.3.", "1,2,", "x.5 5.x",
    "(a)[b]{c}<d>/e\\f|g~h_i^j", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "#tag @user a_b snake_case https://example.org/a?b=c&d=e",
    # Numbers.
    "1,000.5", "1,000.5 and 3-4", "costs $1,234,567.89 (about 3-4%)", "3 - 4", "3-4-5", "-5", "a-5", "5-a", "12:30-14:00", "v1.2.3-rc.4", "3.14.",
    "٣٫١٤ and ١٢", "½ ² Ⅷ ①",
    # Hyphens and ends of lines.
    "well-known state-of-the-art", "hyphen-\nated", "hyphen-\r\nated", "hyphen- \nated", "ends with a hyphen-\n", "a-\n-\nb", "–en–dash — em",
    "one\ntwo\nthree", "one\r\ntwo\rthree", "one\ttwo\u000bthree\u000cfour", "one\u0085two\u2028three\u2029four", "one\u00a0two\u202fthree\u3000four",
    "one\u200btwo\u200cthree\u200dfour\ufeff", "  leading and trailing  \n\n", "nul\u0000 and \u007f\u001b[0m",
    # Entities and marks that 13a reads.
    "&quot;x&quot; &amp; &lt;y&gt;", "\"x\" & <y>", "&amp;lt;", "&amp;amp;quot;", "&apos; &nbsp; &#39;", "&quot", "&&amp;", "AT&amp;T AT&T",
    "<skipped>", "a<skipped>b", "<skip<skipped>ped>", "a-<skipped>\nb", "<b>bold</b>",
    # Other scripts, marks and cases.
    "naïve café Zoë", "nai\u0308ve cafe\u0301 Zoe\u0308", "naive cafe Zoe", "İstanbul ISTANBUL ıstanbul istanbul", "i\u0307stanbul", "300 \u212a 300K",
    "\u212bngstr\u00f6m Ångström", "STRASSE straße", "ΌΣΟΣ όσος", "Ελληνικά, και αριθμοί 1.5.", "Привет, мир! Привет.", "我喜歡貓。我喜歡狗。",
    "我喜歡貓,1.5 元。", "こんにちは、世界", "안녕하세요 세계", "مرحبا بالعالم", "नमस्ते दुनिया", "ﬁne ﬂow ﬃ", "ｆｕｌｌ ｗｉｄｔｈ １２", "𝐛𝐨𝐥𝐝 𝟏𝟐",
    "hello 😀😀 world", "👩‍👩‍👧‍👦 family 👨‍👩‍👧", "🇩🇪🇫🇷", "👍🏽 👍", "\ue000\U0010ffff",
    # Repetition.
    "a a a a", "a a a a a", "a b a b a b a b a b", "no no no no no no no no no no no no", "the end. " * 12, "ha" * 40, "." * 25, "1" * 30 + "-" * 9,
    "I am here. I am here. I was there. I am here.", "one two three four five six seven eight nine ten one two three four",
]

# Candidates and references that are parts of each other or differ in one thing.
PAIRS = [
    ("the cat", "the cat sat on the mat and slept there all day long"), ("sat on the mat", "the cat sat on the mat"),
    ("the the the the the the the", "the cat is on the mat"), ("cat", "concatenate"), ("abc", "abcabcabc"), ("abab", "baba"),
    ("The quick brown fox jumps over the lazy dog.", "The quick brown dog jumps over the lazy fox."),
    ("It is a guide to action which ensures that the military always obeys the commands of the party.",
     "It is a guide to action that ensures that the military will forever heed Party commands."),
    ("It is to insure the troops forever hearing the activity guidebook that party direct.",
     "It is a guide to action that ensures that the military will forever heed Party commands."),
    ("police killed the gunman", "police kill the gunman"), ("the gunman kill police", "police kill the gunman"),
    ("x y z", "a b c"), ("x", "a b c d e f g h i j k l m n o p q r s t"), ("a", "a " * 60), ("a " * 60, "a"), ("a b c d e f", "a x c y e z"),
    ("a b x c d x e f", "a b c d e f"), ("answer: 42", "42"), ("Answer: 42.", "answer 42"), ("42.0", "42"), ("1,000", "1000"), ("e.g. this", "eg this"),
    ("don't", "do not"), ("don't", "don’t"), ("&amp;", "&"), ("&lt;", "<"), ("3-4", "3 - 4"), ("ten-\nfold", "tenfold"), ("Ten", "ten"), ("é", "e\u0301"),
    ("😀", "😁"), ("日本語", "日本"), ("ab cd", "abcd"), ("a\u00a0b", "a b"), ("a\u200bb", "a b"), ("kitten", "sitting"), ("", "the cat"), ("the cat", ""),
    (" ", ""), ("", "."), (".", ""), ("the cat", "\u3000"), ("日", ""),
]


def neighbours() -> list[tuple[str, str]]:
    return [pair for a, b in zip(TEXTS, TEXTS[1:] + TEXTS[:1], strict=True) for pair in ((a, a), (a, b))]


def drawn() -> list[tuple[str, str]]:
    """Sentences over a few words, texts over characters that rules speak of, and sentences edited at random."""
    rng = random.Random(20270316)
    words = "the cat sat on a mat dog ran to and was".split()
    marked = [*words, "1,000.5", "3-4", "don't", "well-known", "end.", "no,", "&amp;", "(so)", "Zoë", "猫", "😀", "The"]
    characters = "ab1-.,&; \n'\"<é日"
    out = []
    for _ in range(90):
        few = words[:rng.randint(2, len(words))]
        out.append(tuple(" ".join(rng.choices(few, k=rng.randint(1, 30))) for _ in range(2)))
    for _ in range(60):
        out.append(tuple("".join(rng.choices(characters, k=rng.randint(1, 40))) for _ in range(2)))
    for _ in range(60):
        reference = rng.choices(marked, k=rng.randint(4, 40))
        candidate = [word for word in reference if rng.random() > 0.1]
        for _ in range(rng.randint(0, 4)):
            candidate.insert(rng.randint(0, len(candidate)), rng.choice(marked))
        out.append((" ".join(candidate), " ".join(reference)))
    return out


def repetition(text: str) -> float:
    found = list(ngrams(text.split(), 4))
    return 1 - len(set(found)) / len(found) if found else 0.0


def case(candidate: str, reference: str) -> Json:
    rouge = ROUGE.score(reference, candidate)
    longer = max(len(candidate), len(reference))
    return {"candidate": candidate, "reference": reference, "rouge_1": float(rouge["rouge1"].fmeasure), "rouge_l": float(rouge["rougeL"].fmeasure),
            "sentence_bleu": sacrebleu.sentence_bleu(candidate, [reference]).score / 100,
            "chrf": sacrebleu.sentence_chrf(candidate, [reference]).score / 100,
            "levenshtein_similarity": 1 - edit_distance(candidate, reference) / longer if longer else 1.0, "repetition": repetition(candidate)}


if __name__ == "__main__":
    pairs = dict.fromkeys(neighbours() + PAIRS + drawn())
    # One line a case, so that a change shows in a diff.
    (HERE / "text_metrics.json").write_text("[\n" + ",\n".join(json.dumps(case(*pair)) for pair in pairs) + "\n]\n")
