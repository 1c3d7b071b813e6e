"""What texts are as vectors, as embeddings.json and sentences/.

    python -m pip install -r requirements.txt
    python embeddings.py               # a few seconds, on the CPU, offline; the goldens must be there

Made with what requirements.txt names. `states`: for some of the goldens, their texts under two views, the mean over all
tokens of the hidden states after the final norm. `sentences`: for two tiny random BERTs that sentence-transformers saved
(sentences/mean, sentences/cls), what its `encode` makes of texts, each alone in its batch; `plain` is sentences/mean without
modules.json, which sentence-transformers pools by the mean and does not normalise.
"""

import copy
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
# As in make.py: this folder's statistics.py is not the standard library's.
HERE = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE] + [str(HERE)]

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, BertConfig, BertModel, BertTokenizerFast
from transformers.utils import logging

from golden import noise

# A plain one, one with windows and norms that add one to their weights, and one that learned its positions.
STATES = ("llama_default", "gemma2", "gpt2")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,?!'-", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
          "the", "home", "of", "in", "is", "likes", "to", "eat", "honey", "cake", "works", "as", "##er", "##ing", "tan", "ham"]
SENTENCES = ["The home of Nessa Drace is in Ham.", "likes", "Honey cake, honey cake!", "éclair? tanning!", "a b c d e f g h i j k l m n o p",
             "The tanner likes to eat honey cake in the home of the tanner"]


@torch.no_grad()
def states(name: str) -> list[dict[str, object]]:
    folder = HERE / name
    texts = json.loads((folder / "golden.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32, attn_implementation="eager").eval()
    adapted = PeftModel.from_pretrained(copy.deepcopy(base), folder / "adapter").eval().get_base_model()
    out = []
    for view, model in (("base", base), ("ft", adapted)):
        for text, ids in zip(texts["texts"], texts["token_ids"], strict=True):
            mean = model.base_model(torch.tensor([ids]), use_cache=False).last_hidden_state[0].mean(0)
            out.append({"golden": name, "view": view, "text": text, "embedding": mean.tolist(), "num_tokens": len(ids)})
    return out


def tokenizer(folder: Path, longest: int) -> None:
    vocab = {piece: i for i, piece in enumerate(PIECES)}
    fast = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer(lowercase=True)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ids = [("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])]
    fast.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids)
    BertTokenizerFast(tokenizer_object=fast, model_max_length=longest).save_pretrained(folder)


@torch.no_grad()
def bert(folder: Path, label: str, **config: object) -> None:
    """Random weights, large enough that tokens are told apart."""
    sizes = dict(vocab_size=len(PIECES), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
                 max_position_embeddings=24, type_vocab_size=2)
    model = BertModel(BertConfig(**sizes | config)).eval()
    for name, parameter in model.named_parameters():
        of_norm = "LayerNorm.weight" in name
        parameter.copy_((1.0 if of_norm else 0.0) + noise(f"{label} {name}", parameter.shape, 0.3 if "LayerNorm" in name else 0.5))
    model.save_pretrained(folder)


def sentence_model(name: str, pooling: str, normalize: bool, longest: int, **config: object) -> Path:
    folder = HERE / "sentences" / name
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as plain:
        bert(Path(plain), name, **config)
        tokenizer(Path(plain), longest)
        transformer = Transformer(plain)
        modules = [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)]
        SentenceTransformer(modules=modules + [Normalize()] * normalize, device="cpu").save(str(folder), create_model_card=False)
    return folder


def as_on_the_hub(folder: Path) -> None:
    """Rewrites a saved model in the spelling of sentence-transformers 2 and transformers 4, in which most of the hub's are."""
    edit = lambda name, change: (folder / name).write_text(json.dumps(change(json.loads((folder / name).read_text())), indent=2) + "\n")
    edit("modules.json", lambda modules: [m | {"type": "sentence_transformers.models." + m["type"].rpartition(".")[2]} for m in modules])
    edit("1_Pooling/config.json", lambda pooling: {
        "word_embedding_dimension": pooling["embedding_dimension"], "pooling_mode_cls_token": pooling["pooling_mode"] == "cls",
        "pooling_mode_mean_tokens": pooling["pooling_mode"] == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False})
    edit("sentence_bert_config.json", lambda _: {"max_seq_length": 18, "do_lower_case": False})
    edit("config_sentence_transformers.json", lambda _: {"__version__": {"sentence_transformers": "2.0.0"}})
    edit("config.json", lambda c: {k: v for k, v in c.items() if k not in ("add_cross_attention", "is_decoder", "dtype")}
         | {"position_embedding_type": "absolute", "gradient_checkpointing": False, "torch_dtype": "float32",
            "transformers_version": "4.8.2"})
    tensors = load_file(folder / "model.safetensors")
    positions = {"embeddings.position_ids": torch.arange(len(tensors["embeddings.position_embeddings.weight"]))[None]}
    save_file({f"bert.{k}": v for k, v in (tensors | positions).items()}, folder / "model.safetensors", {"format": "pt"})


def encoded(name: str, folder: Path) -> list[dict[str, object]]:
    model = SentenceTransformer(str(folder), device="cpu")
    return [{"model": name, "text": text, "embedding": model.encode(text).tolist(),
             "num_tokens": len(model.preprocess([text])["input_ids"][0])} for text in SENTENCES]


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    mean = sentence_model("mean", "mean", True, 16)
    cls = sentence_model("cls", "cls", False, 512, hidden_act="gelu_new", layer_norm_eps=1e-5)
    as_on_the_hub(cls)
    for file in (HERE / "sentences").rglob("*.safetensors"):
        file.chmod(0o644)
    sentences = encoded("mean", mean) + encoded("cls", cls)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(shutil.copytree(mean, Path(folder) / "plain", ignore=shutil.ignore_patterns("modules.json")))
        sentences += encoded("plain", plain)
    tables = {"states": [case for name in STATES for case in states(name)], "sentences": sentences}
    # One line a case, so that a change shows in a diff.
    lines = [f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]" for name, cases in tables.items()]
    (HERE / "embeddings.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
