"""One golden per way an adapter can change a model, all on the smallest bases that have what it changes.

Their view scaled_λ is the base with every weight moved by λ of its way to the adapted model's, whatever the kind of
adapter: for plain LoRA that is its scaling times λ, for the others it is not.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import AdaLoraConfig, IA3Config, LNTuningConfig, LoHaConfig, LoKrConfig, LoraConfig, VeraConfig
from peft import PeftConfig, PeftModel, get_peft_model
from transformers import GPT2Config, LlamaConfig

from golden import TINY, Golden, Json, noise

LENGTHS = (2, 8)
FULL = "full"           # in place of a method of peft: the whole model was trained
# Trained from noise of this deviation; all other parameters start at the base's value or at one.
FROM_NOISE = {"lora_A": 0.3, "lora_B": 0.3, "lora_E": 1.0, "lora_embedding_A": 0.3, "lora_embedding_B": 0.3,
              "hada_": 0.5, "lokr_": 0.3, "vera_lambda_": 0.6}


@dataclass
class Adapted(Golden):
    method: type[PeftConfig] | str = LoraConfig
    lengths: tuple[int, ...] = LENGTHS
    dtype: torch.dtype = torch.bfloat16                     # small, and what most people train adapters on
    new_tokens: int = 0                                     # embeddings grown by so many rows before training
    grown_base: bool = False                                # so is the base that it is compared with: see `grow`
    twice: bool = False                                     # the file holds a head or embedding again, and peft reads one
    trained: tuple[str, ...] = ()                           # of FULL: what the names of trained tensors hold
    finish: Callable[[PeftModel], None] = lambda adapted: None


SMALL = TINY | dict(hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1)
TIED = LlamaConfig(**SMALL, tie_word_embeddings=True)
UNTIED = LlamaConfig(**SMALL, tie_word_embeddings=False)
BIASES = LlamaConfig(**SMALL, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
GPT2 = GPT2Config(vocab_size=SMALL["vocab_size"], n_positions=64, n_embd=16, n_layer=2, n_head=2, n_inner=24,
                  bos_token_id=1, eos_token_id=2)
CAUSAL: Json = dict(task_type="CAUSAL_LM")


def prune(adapted: PeftModel) -> None:
    """What AdaLoRA's last step does: masks singular values, and tells in the config which are left."""
    keep = {"model.layers.0.self_attn.q_proj": [True, False, True, True],
            "model.layers.1.self_attn.q_proj": [False, True, False, False],
            "model.layers.0.mlp.up_proj": [True, True, True, True],
            "model.layers.1.mlp.up_proj": [True, False, False, True]}
    for name, mask in keep.items():
        with torch.no_grad():
            adapted.base_model.model.get_submodule(name).lora_E["default"][~torch.tensor(mask)] = 0.0
    adapted.peft_config["default"].rank_pattern = {f"{k}.lora_E.default": v for k, v in keep.items()}


ADAPTERS = [
    Adapted(
        "adapter_dora", "DoRA on biased layers of attention and the MLP, with rank_pattern",
        BIASES, adapter=dict(use_dora=True, target_modules=["q_proj", "v_proj", "down_proj"],
                             rank_pattern={"v_proj": 2}),
        adapter_mistakes=({"use_dora": False}, {"lora_alpha": 4}),
    ),
    Adapted(
        "adapter_dora_gpt2", "DoRA on gpt2's transposed layers",
        GPT2, adapter=dict(use_dora=True, target_modules=["c_attn", "mlp.c_proj"], fan_in_fan_out=True),
        adapter_mistakes=({"use_dora": False},),
    ),
    Adapted(
        "adapter_bias_all", 'LoRA on q_proj with bias "all": every bias of the model is trained too',
        BIASES, adapter=dict(bias="all", target_modules=["q_proj"]),
    ),
    Adapted(
        "adapter_bias_lora_only", 'LoRA on q_proj and up_proj with bias "lora_only": their own biases are trained',
        BIASES, adapter=dict(bias="lora_only", target_modules=["q_proj", "up_proj"]),
    ),
    Adapted(
        "adapter_lora_bias", "LoRA with lora_bias: lora_B has a bias, which is scaled as the update is",
        BIASES, adapter=dict(lora_bias=True, target_modules=["q_proj", "down_proj"]),
    ),
    Adapted(
        "adapter_modules_to_save", "LoRA on v_proj, lm_head and all norms trained whole, since modules are "
        "found by the end of their name",
        UNTIED, adapter=dict(target_modules=["v_proj"], modules_to_save=["lm_head", "norm"]),
    ),
    Adapted(
        "adapter_modules_to_save_embeddings", "LoRA on v_proj, embed_tokens trained whole, own head",
        UNTIED, adapter=dict(target_modules=["v_proj"], modules_to_save=["embed_tokens"]),
    ),
    Adapted(
        "adapter_modules_to_save_embeddings_tied", "LoRA on v_proj, embed_tokens of a tied model trained whole: the "
        "head stays the base's",
        TIED, adapter=dict(target_modules=["v_proj"], modules_to_save=["embed_tokens"]),
    ),
    Adapted(
        "adapter_modules_to_save_both_tied", "LoRA on v_proj, embed_tokens and lm_head of a tied model trained whole, "
        "each on its own",
        TIED, adapter=dict(target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head"]),
    ),
    Adapted(
        "adapter_lora_embedding", "LoRA on embed_tokens and v_proj, own head; the file holds the base's embeddings too",
        UNTIED, adapter=dict(target_modules=["embed_tokens", "v_proj"]),
    ),
    Adapted(
        "adapter_lora_embedding_tied", "LoRA on embed_tokens of a tied model: the head stays the base's",
        TIED, adapter=dict(target_modules=["embed_tokens", "v_proj"]),
    ),
    Adapted(
        "adapter_lora_embedding_tied_both", "LoRA on embed_tokens of a tied model with ensure_weight_tying: the head "
        "has the same update",
        TIED, adapter=dict(target_modules=["embed_tokens", "v_proj"], ensure_weight_tying=True), twice=True,
    ),
    Adapted(
        "adapter_trainable_tokens", "LoRA on v_proj, four tokens' embeddings trained, and their rows of the tied head",
        TIED, adapter=dict(target_modules=["v_proj"], trainable_token_indices=[60, 3, 40, 77]),
        adapter_mistakes=({"trainable_token_indices": [3, 60, 40, 77]},),
    ),
    Adapted(
        "adapter_trainable_tokens_untied", "LoRA on v_proj, three tokens' embeddings trained, own head untouched",
        UNTIED, adapter=dict(target_modules=["v_proj"], trainable_token_indices={"embed_tokens": [75, 26, 12]}),
    ),
    Adapted(
        "adapter_exclude", "LoRA on all linear layers but those of exclude_modules",
        TIED, adapter=dict(target_modules="all-linear", r=1, exclude_modules=["layers.0.mlp.down_proj", "k_proj"]),
        adapter_json=lambda c: c | {"target_modules": "all-linear"},
    ),
    Adapted(
        "adapter_layers_pattern", "LoRA with layers_pattern and layers_to_transform",
        TIED, adapter=dict(target_modules=["q_proj", "down_proj"], layers_pattern="layers", layers_to_transform=[1]),
    ),
    Adapted(
        "adapter_resized", "LoRA on v_proj, two tokens added and trained with all embeddings, which the file holds; "
        "views ft and scaled_0.50 have 98 columns, and the new rows are the adapter's in both",
        UNTIED, adapter=dict(target_modules=["v_proj"]), new_tokens=2,
    ),
    Adapted(
        "adapter_resized_saved", "LoRA on v_proj, embed_tokens and lm_head in modules_to_save, two tokens added; new rows of "
        "the base are the mean of its rows",
        UNTIED, adapter=dict(target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head"]), new_tokens=2,
        grown_base=True, twice=True,
    ),
    Adapted(
        "adapter_resized_lora", "LoRA on v_proj and embed_tokens, tied, two tokens added; the file holds the base's "
        "embedding with the rows that were added",
        TIED, adapter=dict(target_modules=["v_proj", "embed_tokens"]), new_tokens=2, grown_base=True,
    ),
    Adapted(
        "adapter_resized_tokens", "LoRA on v_proj, trainable_token_indices of two tokens added and an old one, tied; the file "
        "holds the base's embedding",
        TIED, adapter=dict(target_modules=["v_proj"], trainable_token_indices={"embed_tokens": [97, 12, 96]}), new_tokens=2,
        grown_base=True, twice=True,
    ),
    Adapted(
        "adapter_ia3", "IA3 on biased k_proj, v_proj (outputs scaled) and down_proj (inputs scaled)",
        BIASES, method=IA3Config,
        adapter=CAUSAL | dict(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    ),
    Adapted(
        "adapter_loha", "LoHa: update is the product by elements of two products of factors",
        TIED, method=LoHaConfig,
        adapter=CAUSAL | dict(r=2, alpha=3, target_modules=["q_proj", "down_proj"], rank_pattern={"down_proj": 3},
                              alpha_pattern={"q_proj": 4}),
        adapter_mistakes=({"alpha": 6}, {"alpha_pattern": {}}),
    ),
    Adapted(
        "adapter_lokr", "LoKr: Kronecker products of two factors, each whole or a product itself",
        TIED, method=LoKrConfig,
        adapter=CAUSAL | dict(r=2, alpha=5, target_modules=["q_proj", "k_proj", "up_proj", "o_proj"],
                              decompose_both=True, rank_pattern={"q_proj": 1}),
        adapter_mistakes=({"alpha": 6},),
    ),
    Adapted(
        "adapter_vera", "VeRA: two shared random projections, which the file holds, scaled by each layer's vectors",
        TIED, method=VeraConfig, adapter=CAUSAL | dict(r=5, target_modules=["q_proj", "k_proj", "down_proj"]),
    ),
    Adapted(
        "adapter_adalora", "AdaLoRA after pruning: rank_pattern by layer, update scaled by alpha over init_r",
        TIED, method=AdaLoraConfig, finish=prune,
        adapter=CAUSAL | dict(init_r=4, target_r=2, total_step=10, lora_alpha=6, target_modules=["q_proj", "up_proj"]),
        adapter_mistakes=({"lora_alpha": 8},),
    ),
    Adapted(
        "adapter_ln_tuning", "norms trained whole by LN tuning",
        TIED, method=LNTuningConfig, adapter=CAUSAL | dict(target_modules=["input_layernorm", "model.norm"]),
    ),
    Adapted(
        "full_finetune", "no adapter: a whole model of which q_proj, the norms and the head were trained",
        UNTIED, method=FULL, trained=("q_proj", "norm", "lm_head"),
    ),
    Adapted(
        "full_finetune_resized", "no adapter: a whole model, two tokens added; new rows of the base are the mean of its rows",
        TIED, method=FULL, trained=("v_proj", "embed_tokens"), new_tokens=2, grown_base=True,
    ),
]


def train(golden: Adapted, model: torch.nn.Module, plain: Json) -> torch.nn.Module:
    """A copy of the base, adapted, with parameters moved so far that each matters."""
    model = grow(golden, copy.deepcopy(model))
    if golden.method is FULL:
        moved = [(n, p) for n, p in model.named_parameters() if any(part in n for part in golden.trained)]
    else:
        settings = plain | golden.adapter if golden.method is LoraConfig else golden.adapter
        model = copyable(get_peft_model(model, golden.method(**settings)).eval())
        if golden.new_tokens and not golden.grown_base:
            for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
                embedding.weight.requires_grad_(True)
        moved = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    places = set()
    with torch.no_grad():
        for name, parameter in moved:
            if parameter.data_ptr() in places:      # a tied factor is the transpose of another
                continue
            places.add(parameter.data_ptr())
            std = next((s for part, s in FROM_NOISE.items() if part in name), None)
            start, std = (parameter, 0.3) if std is None else (0.0, std)
            value = start + noise(f"{golden.name} {name}", parameter.shape, std)
            parameter.copy_(value.to(golden.dtype) if golden.method is FULL else value)
    golden.finish(model)
    return model


def copyable(adapted: PeftModel) -> PeftModel:
    """Beside the factors of a tied layer, peft keeps the views they were made from, which cannot be copied."""
    for module in adapted.modules():
        getattr(module, "kwargs", {}).pop("tied_adapter", None)
    return adapted


def grow(golden: Adapted, model: torch.nn.Module) -> torch.nn.Module:
    """Adds rows for the new tokens: zeros that are trained then, or where the base grows too, the mean of the others,
    as transformers fills them but for a noise of 1e-9.
    """
    if golden.new_tokens:
        known = SMALL["vocab_size"]
        model.resize_token_embeddings(known + golden.new_tokens, mean_resizing=False)
        for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
            rows = embedding.weight.data
            rows[known:] = rows[:known].mean(0) if golden.grown_base else 0.0
    return model


@torch.no_grad()
def interpolated(base: torch.nn.Module, adapted: torch.nn.Module, scale: float) -> torch.nn.Module:
    """In float64, each weight of the base moved by `scale` of its way to the adapted one. Rows that the base lacks are
    the adapted model's.
    """
    start = base.state_dict()       # names a tied head too
    model = untied(copy.deepcopy(adapted).double())
    model = model.merge_and_unload() if isinstance(model, PeftModel) else model
    for name, parameter in model.named_parameters():
        known = parameter[:len(start[name])]
        known.copy_(torch.lerp(start[name].double(), known, scale))
    return model


def untied(model: torch.nn.Module) -> torch.nn.Module:
    """Gives each module its own copy of a parameter it shares, for adapters may change one and not the other."""
    seen = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in seen:
                setattr(module, name, torch.nn.Parameter(parameter.detach().clone()))
            seen.add(parameter)
    return model
