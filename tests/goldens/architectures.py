"""One golden per way a model's configuration is spelled or read, each with a LoRA adapter."""

import torch
from transformers import Gemma2Config, Gemma3TextConfig, GPT2Config, GPTNeoXConfig, GraniteConfig, LlamaConfig
from transformers import MistralConfig, MixtralConfig, Olmo2Config, Phi3Config, Qwen2Config, Qwen3Config
from transformers import Qwen3MoeConfig, SmolLM3Config, Starcoder2Config

from golden import ATTENTION, SHORT, TINY, Golden, Json, Tensors, old_peft, transformers_4, with_values, without

LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=48)
# Dicts in file order: the first pattern that matches wins, which is not the alphabetical one.
OVERLAPPING_ALPHA = {r"layers\.2\.self_attn\.q_proj": 2, "q_proj": 24, r"layers\.\d\..*_proj": 6}

SMALL = TINY | dict(intermediate_size=24)
WIDE_HEADS = SMALL | dict(num_attention_heads=2, num_key_value_heads=1)      # heads of 16
# GPT-2 and GPT-NeoX have no key heads of their own, and GPT-2 has its own words.
GPT2 = dict(vocab_size=TINY["vocab_size"], n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1,
            eos_token_id=2)
NEOX = {k: v for k, v in WIDE_HEADS.items() if k != "num_key_value_heads"}
GEMMA = SMALL | dict(num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=8, sliding_window=8)
BF16 = dict(dtype=torch.bfloat16, lengths=SHORT)
MLP = ["gate_proj", "up_proj", "down_proj"]
LONGROPE = dict(short_factor=[1.0, 1.1, 1.3, 1.5, 1.8, 2.0], long_factor=[1.0, 1.5, 2.5, 4.0, 6.0, 8.0])
YARN = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16)
YARN_GIVEN = dict(rope_type="yarn", rope_theta=100.0, factor=2.0, original_max_position_embeddings=32,
                  attention_factor=1.3, beta_fast=4.0, beta_slow=0.5, truncate=False)


def neox_4(config: Json) -> Json:
    """GPT-NeoX had its own words for rope's parameters."""
    rope = config["rope_parameters"]
    config = transformers_4(rotary_pct=rope["partial_rotary_factor"], rotary_emb_base=rope["rope_theta"])(config)
    return without("rope_theta")(config)


def gemma3_4(config: Json) -> Json:
    """Gemma 3 had a pattern and two bases where transformers 5 has layer_types and two sets of parameters."""
    config = without("_sliding_window_pattern")(config)
    local, whole = (config["rope_parameters"][kind] for kind in ("sliding_attention", "full_attention"))
    config["rope_parameters"] = whole
    scaling = {"factor": whole["factor"], "rope_type": "linear"}
    return transformers_4(scaling, rope_local_base_freq=local["rope_theta"], sliding_window_pattern=3)(config)


def gpt2_of_the_hub(tensors: Tensors) -> Tensors:
    """The oldest GPT-2 checkpoints name tensors from below `transformer`, and hold each layer's causal mask."""
    tensors = {k.removeprefix("transformer."): v for k, v in tensors.items()}
    positions, dtype = GPT2["n_positions"], tensors["wte.weight"].dtype
    mask = torch.ones(positions, positions, dtype=dtype).tril()[None, None]
    return tensors | {f"h.{i}.attn.bias": mask.clone() for i in range(GPT2["n_layer"])}


def neox_of_the_hub(tensors: Tensors) -> Tensors:
    """Pythia's checkpoints hold each layer's causal mask, the value that masks, and rope's frequencies."""
    positions = NEOX["max_position_embeddings"]
    mask = torch.ones(positions, positions, dtype=torch.bool).tril()[None, None]
    for i in range(NEOX["num_hidden_layers"]):
        tensors |= {
            f"gpt_neox.layers.{i}.attention.bias": mask.clone(),
            f"gpt_neox.layers.{i}.attention.masked_bias": torch.tensor(-1e9),
            f"gpt_neox.layers.{i}.attention.rotary_emb.inv_freq": 100.0 ** -(torch.arange(0, 16, 2) / 16),
        }
    return tensors


def qwen3_moe_4(config: Json) -> Json:
    """Transformers 5 calls the experts local."""
    return transformers_4(num_experts=config["num_local_experts"])(without("num_local_experts")(config))


ARCHITECTURES = [
    Golden(
        "llama_default", "llama, tied head, GQA, large rms_norm_eps; adapter r=4 alpha=8 on q_proj and v_proj",
        LlamaConfig(**TINY, tie_word_embeddings=True, rms_norm_eps=1e-2),
        config_mistakes=({"rms_norm_eps": 1e-6}, {"rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}),
    ),
    Golden(
        "llama_untied_legacy_rope", "llama, own lm_head, transformers-4 spelling of rope_theta; adapter with rslora",
        LlamaConfig(**TINY, tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 50000.0}),
        adapter=dict(use_rslora=True, target_modules=ATTENTION),
        config_json=transformers_4(),
        config_mistakes=({"rope_theta": 10000.0},),
        adapter_mistakes=({"use_rslora": False},),
    ),
    Golden(
        "llama_linear", "llama, linear rope scaling in the transformers-4 spelling; adapter_config.json of an old peft",
        LlamaConfig(**TINY, tie_word_embeddings=True,
                    rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}),
        adapter=dict(lora_alpha=16),
        config_json=transformers_4(rope_scaling={"type": "linear", "factor": 2.0}),
        adapter_json=old_peft,
        config_mistakes=({"rope_scaling": None},),
    ),
    Golden(
        "llama_llama3", "llama, llama3 rope scaling with all three of its bands; adapter with rank_pattern and "
        "alpha_pattern by plain suffix",
        LlamaConfig(**TINY, tie_word_embeddings=False, rope_parameters={**LLAMA3, "rope_theta": 100.0}),
        adapter=dict(target_modules=ATTENTION, rank_pattern={"q_proj": 2, "self_attn.o_proj": 6},
                     alpha_pattern={"q_proj": 12, "v_proj": 3}),
        config_mistakes=(
            {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 8.0}},
            {"rope_parameters": {**LLAMA3, "rope_theta": 100.0, "original_max_position_embeddings": 32}},
        ),
        adapter_mistakes=({"alpha_pattern": {}},),
    ),
    Golden(
        "llama_biases", "llama with attention_bias, mlp_bias and a head_dim that is not hidden / heads; adapter whose "
        'target_modules is the string "all-linear"',
        LlamaConfig(**TINY, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=16),
        adapter=dict(target_modules="all-linear", r=2, lora_alpha=4),
        adapter_json=with_values(target_modules="all-linear"),
    ),
    Golden(
        "llama_sharded_f16", "llama, float16 checkpoint in three shards with an index; adapter on all linear layers, "
        "as peft writes it (14 full module paths)",
        LlamaConfig(**TINY, tie_word_embeddings=False), dtype=torch.float16, shards=3,
        adapter=dict(target_modules="all-linear", r=2, lora_alpha=4),
    ),
    Golden(
        "llama_bf16", "llama, bfloat16 checkpoint; adapter saved in bfloat16",
        LlamaConfig(**TINY, tie_word_embeddings=True), dtype=torch.bfloat16, adapter_dtype=torch.bfloat16,
        adapter=dict(target_modules=["k_proj", "down_proj"]),
    ),
    Golden(
        "llama_bos", "llama, tokenizer that adds <s>, llama3 rope in the transformers-4 spelling; adapter tensors "
        "named with the adapter's name (lora_A.default.weight)",
        LlamaConfig(**TINY, tie_word_embeddings=True, rope_parameters={**LLAMA3, "rope_theta": 100.0}), bos=True,
        adapter=dict(target_modules=["q_proj", "gate_proj"]),
        config_json=transformers_4(rope_scaling=LLAMA3),
        adapter_key=lambda k: k.replace(".weight", ".default.weight"),
        config_mistakes=({"rope_scaling": None},),
    ),
    Golden(
        "mistral_window", "mistral, sliding window of 8 in every layer, transformers-4 spelling without head_dim; "
        "adapter whose target_modules is a regex",
        MistralConfig(**TINY, sliding_window=8),
        adapter=dict(target_modules=r".*\.layers\.(0\.self_attn\.(q|o)|1\.mlp\.up)_proj"),
        config_json=lambda c: without("head_dim")(transformers_4()(c)),
        config_mistakes=({"sliding_window": None}, {"sliding_window": 7}, {"sliding_window": 9}),
    ),
    Golden(
        "mistral_full", "mistral without a window, head_dim not hidden / heads; adapter of rank 1",
        MistralConfig(**TINY, sliding_window=None, head_dim=12),
        adapter=dict(r=1, lora_alpha=3, target_modules=["v_proj", "down_proj"]),
        config_mistakes=({"sliding_window": 8},),
    ),
    Golden(
        "qwen2", "qwen2, qkv biases, tied head, transformers-4 spelling with a sliding_window that use_sliding_window "
        "switches off; adapter with layers_to_transform",
        Qwen2Config(**TINY, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
        adapter=dict(target_modules=["q_proj", "k_proj", "v_proj"], layers_to_transform=[1]),
        config_json=transformers_4(use_sliding_window=False, sliding_window=8, max_window_layers=1),
        config_mistakes=({"use_sliding_window": True},),
    ),
    Golden(
        "qwen2_window", "qwen2, three layers of which the last two slide over 8, layer_types as transformers 5 writes "
        "it; adapter with regex rank_pattern and an alpha_pattern whose keys overlap",
        Qwen2Config(**TINY | dict(num_hidden_layers=3), use_sliding_window=True, sliding_window=8, max_window_layers=1,
                    tie_word_embeddings=True),
        adapter=dict(target_modules=["q_proj", "o_proj", "up_proj"],
                     rank_pattern={r"model\.layers\.[01]\.self_attn\.o_proj": 2, r"mlp\.(up|gate)_proj": 1},
                     alpha_pattern=OVERLAPPING_ALPHA),
        adapter_json=with_values(alpha_pattern=OVERLAPPING_ALPHA),
        config_mistakes=({"layer_types": ["full_attention"] * 3}, {"layer_types": ["sliding_attention"] * 3},
                         {"sliding_window": 7}, {"sliding_window": 9}),
        adapter_mistakes=({"alpha_pattern": {}}, {"alpha_pattern": dict(sorted(OVERLAPPING_ALPHA.items()))}),
    ),
    Golden(
        "qwen3", "qwen3, norms on q and k, head_dim not hidden / heads, large rms_norm_eps; adapter with rslora and "
        "rank_pattern",
        Qwen3Config(**TINY, head_dim=16, tie_word_embeddings=False, rms_norm_eps=1e-1),
        adapter=dict(use_rslora=True, target_modules=ATTENTION, rank_pattern={"k_proj": 2, r"layers\.1\..*": 3}),
        config_mistakes=({"rms_norm_eps": 1e-6},),
        adapter_mistakes=({"use_rslora": False},),
    ),
    Golden(
        "qwen3_window", "qwen3, three layers whose layer_types are not what max_window_layers says; adapter on all "
        "linear layers, as peft writes it (21 modules or more are condensed to suffixes)",
        Qwen3Config(**TINY | dict(num_hidden_layers=3), head_dim=8, use_sliding_window=True, sliding_window=8,
                    max_window_layers=1, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                    tie_word_embeddings=True),
        adapter=dict(target_modules="all-linear", r=1, lora_alpha=2),
        config_mistakes=({"layer_types": None}, {"sliding_window": 7}, {"sliding_window": 9}),
    ),
    Golden(
        "gemma2", "gemma2, soft caps of 2 and 3, query_pre_attn_scalar and head_dim of their own, window of 8 in "
        "every other layer; adapter on attention and down_proj",
        Gemma2Config(**GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
        adapter=dict(target_modules=[*ATTENTION, "down_proj"]), lengths=SHORT,
        config_mistakes=({"attn_logit_softcapping": None}, {"final_logit_softcapping": None},
                         {"query_pre_attn_scalar": 16}, {"sliding_window": 7}, {"sliding_window": 9},
                         {"layer_types": ["sliding_attention"] * 3}, {"hidden_activation": "relu"},
                         {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    ),
    Golden(
        "gemma2_bf16", "gemma2, bfloat16 checkpoint in the transformers-4 spelling; adapter on the MLP",
        Gemma2Config(**GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=3.0), **BF16,
        adapter=dict(target_modules=MLP),
        config_json=lambda c: transformers_4(hidden_act="gelu_pytorch_tanh", cache_implementation="hybrid")(c),
        config_mistakes=({"sliding_window": 7}, {"sliding_window": 9}),
    ),
    Golden(
        "gemma3_text", "gemma3_text, rope_parameters by layer type, two windows of 8 and a full layer between them; "
        "adapter on attention",
        Gemma3TextConfig(**GEMMA, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                         rope_parameters={
                             "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                             "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0}}),
        adapter=dict(target_modules=ATTENTION), lengths=SHORT,
        config_mistakes=({"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
                         {"rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                                              "full_attention": {"rope_type": "default", "rope_theta": 1000.0}}},
                         {"layer_types": None}, {"query_pre_attn_scalar": 16}, {"sliding_window": 7},
                         {"sliding_window": 9}),
    ),
    Golden(
        "gemma3_text_bf16", "gemma3_text, bfloat16 checkpoint in the transformers-4 spelling: rope_local_base_freq, "
        "sliding_window_pattern, linear scaling of the full layers alone; adapter on the MLP",
        Gemma3TextConfig(**GEMMA, layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                         rope_parameters={
                             "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                             "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}}),
        **BF16, adapter=dict(target_modules=MLP), config_json=gemma3_4,
        config_mistakes=({"rope_local_base_freq": 1000.0}, {"rope_theta": 100.0}, {"rope_scaling": None},
                         {"sliding_window_pattern": 6}, {"sliding_window_pattern": 2}),
    ),
    Golden(
        "phi3", "phi3, rope on half of each head, window of 8; adapter on the fused qkv_proj and gate_up_proj",
        Phi3Config(**WIDE_HEADS, pad_token_id=0, sliding_window=8,
                   rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}),
        adapter=dict(target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]), lengths=SHORT,
        config_mistakes=({"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}}, {"sliding_window": 7},
                         {"sliding_window": 9}),
    ),
    Golden(
        "phi3_longrope", "phi3, bfloat16 checkpoint, longrope in the transformers-4 spelling, which the text of 40 "
        "words makes long, on three quarters of each head; adapter on qkv_proj",
        Phi3Config(**WIDE_HEADS, pad_token_id=0, original_max_position_embeddings=16,
                   rope_parameters={"rope_type": "longrope", "rope_theta": 100.0, "partial_rotary_factor": 0.75,
                                    "original_max_position_embeddings": 16, **LONGROPE}),
        dtype=torch.bfloat16, adapter=dict(target_modules=["qkv_proj"]),
        config_json=transformers_4({"type": "longrope", **LONGROPE}, partial_rotary_factor=0.75),
        config_mistakes=({"original_max_position_embeddings": 64}, {"original_max_position_embeddings": 8},
                         {"rope_scaling": {"type": "longrope", **LONGROPE, "long_factor": LONGROPE["short_factor"]}},
                         {"rope_scaling": {"type": "longrope", **LONGROPE, "short_factor": LONGROPE["long_factor"]}},
                         {"rope_scaling": None}),
    ),
    Golden(
        "gpt2", "gpt2, whose linear layers are stored transposed (Conv1D), n_inner not 4 n_embd; adapter with "
        "fan_in_fan_out",
        GPT2Config(**GPT2, n_inner=24),
        adapter=dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True), lengths=SHORT,
        config_mistakes=({"activation_function": "relu"}, {"scale_attn_weights": False},
                         {"layer_norm_epsilon": 0.1}),
    ),
    Golden(
        "gpt2_hub", "gpt2, bfloat16 checkpoint as the hub's oldest: no `transformer.` prefix, attn.bias masks; "
        "attention scaled by layer; adapter with fan_in_fan_out on attn.c_proj alone",
        GPT2Config(**GPT2, scale_attn_by_inverse_layer_idx=True), **BF16,
        adapter=dict(target_modules=["attn.c_proj"], fan_in_fan_out=True), base_tensors=gpt2_of_the_hub,
        config_json=without("tie_word_embeddings"),
        config_mistakes=({"scale_attn_by_inverse_layer_idx": False},),
    ),
    Golden(
        "gpt_neox", "gpt_neox, parallel residual, rope on a quarter of each head in the transformers-4 spelling; "
        "adapter on query_key_value and the MLP",
        GPTNeoXConfig(**NEOX, rope_parameters={"rope_type": "default", "rope_theta": 100.0,
                                               "partial_rotary_factor": 0.25}),
        adapter=dict(target_modules=["query_key_value", "dense_h_to_4h", "dense_4h_to_h"]), lengths=SHORT,
        config_json=neox_4,
        config_mistakes=({"rotary_pct": 1.0}, {"rotary_emb_base": 10000.0}, {"use_parallel_residual": False},
                         {"hidden_act": "relu"}),
    ),
    Golden(
        "gpt_neox_bf16", "gpt_neox, bfloat16 checkpoint with Pythia's buffers, residuals one after the other, rope on "
        "whole heads, no attention biases; adapter on attention.dense",
        GPTNeoXConfig(**NEOX, use_parallel_residual=False, attention_bias=False, layer_norm_eps=1e-2,
                      rope_parameters={"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 1.0}),
        **BF16, adapter=dict(target_modules=["dense"]), base_tensors=neox_of_the_hub,
        config_mistakes=({"use_parallel_residual": True}, {"layer_norm_eps": 1e-5}),
    ),
    Golden(
        "olmo2", "olmo2, norms after attention and MLP, q and k normed over all heads at once; adapter on attention",
        Olmo2Config(**SMALL, pad_token_id=0, rms_norm_eps=1e-2), adapter=dict(target_modules=ATTENTION),
        lengths=SHORT, config_mistakes=({"rms_norm_eps": 1e-6},),
    ),
    Golden(
        "olmo2_bf16", "olmo2, bfloat16 checkpoint, tied head, transformers-4 spelling; adapter on the MLP",
        Olmo2Config(**SMALL, pad_token_id=0, tie_word_embeddings=True,
                    rope_parameters={"rope_type": "default", "rope_theta": 500.0}), **BF16,
        adapter=dict(target_modules=MLP), config_json=transformers_4(), config_mistakes=({"rope_theta": 10000.0},),
    ),
    Golden(
        "smollm3", "smollm3, no_rope_layers with one layer of three that does not turn; adapter on attention",
        SmolLM3Config(**SMALL | dict(num_hidden_layers=3), pad_token_id=0, no_rope_layers=[1, 0, 1],
                      rope_parameters={"rope_type": "default", "rope_theta": 100.0}),
        adapter=dict(target_modules=ATTENTION), lengths=SHORT,
        config_mistakes=({"no_rope_layers": [1, 1, 1]}, {"no_rope_layers": [0, 1, 0]},
                         {"no_rope_layers": None}),
    ),
    Golden(
        "smollm3_bf16", "smollm3, bfloat16 checkpoint, no_rope_layer_interval without a list; adapter on the MLP",
        SmolLM3Config(**SMALL, pad_token_id=0, no_rope_layer_interval=2,
                      rope_parameters={"rope_type": "default", "rope_theta": 100.0}), **BF16,
        adapter=dict(target_modules=MLP), config_json=without("no_rope_layers", "layer_types"),
        config_mistakes=({"no_rope_layer_interval": 4},),
    ),
    Golden(
        "granite", "granite, all four multipliers; adapter on attention",
        GraniteConfig(**SMALL, tie_word_embeddings=True, embedding_multiplier=3.0, attention_multiplier=0.6,
                      residual_multiplier=0.5, logits_scaling=1.5),
        adapter=dict(target_modules=ATTENTION, lora_alpha=16), lengths=SHORT,
        config_mistakes=({"embedding_multiplier": 1.0}, {"attention_multiplier": 1.0}, {"residual_multiplier": 1.0},
                         {"logits_scaling": 1.0}, {"attention_multiplier": 8 ** -0.5}),
    ),
    Golden(
        "granite_bf16", "granite, bfloat16 checkpoint, own head, biases, transformers-4 spelling; adapter on the MLP",
        GraniteConfig(**SMALL, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, attention_multiplier=0.6,
                      embedding_multiplier=3.0, residual_multiplier=0.5, logits_scaling=1.5), **BF16,
        adapter=dict(target_modules=MLP), config_json=transformers_4(),
        config_mistakes=({"attention_multiplier": 8 ** -0.5},),
    ),
    Golden(
        "starcoder2", "starcoder2, biases everywhere, LayerNorm, window of 8; adapter on attention and the MLP",
        Starcoder2Config(**SMALL, sliding_window=8, norm_epsilon=1e-2, tie_word_embeddings=True),
        adapter=dict(target_modules=["q_proj", "o_proj", "c_fc", "c_proj"]), lengths=SHORT,
        config_mistakes=({"sliding_window": 7}, {"sliding_window": 9}, {"norm_epsilon": 1e-5},
                         {"hidden_act": "relu"}),
    ),
    Golden(
        "starcoder2_bf16", "starcoder2, bfloat16 checkpoint, no biases, own head, transformers-4 spelling; adapter "
        "on attention",
        Starcoder2Config(**SMALL, use_bias=False, tie_word_embeddings=False,
                         rope_parameters={"rope_type": "default", "rope_theta": 500.0}), **BF16,
        adapter=dict(target_modules=ATTENTION), config_json=transformers_4(sliding_window=None),
        config_mistakes=({"sliding_window": 8},),
    ),
    Golden(
        "mixtral", "mixtral, two of four experts; adapter on attention",
        MixtralConfig(**SMALL | dict(intermediate_size=16), num_local_experts=4, num_experts_per_tok=2),
        adapter=dict(target_modules=ATTENTION), lengths=SHORT,
        config_mistakes=({"num_experts_per_tok": 1}, {"num_experts_per_tok": 3}),
    ),
    Golden(
        "mixtral_bf16", "mixtral, bfloat16 checkpoint, three of four experts, window of 8, transformers-4 spelling; "
        "adapter on attention",
        MixtralConfig(**SMALL | dict(intermediate_size=16), num_local_experts=4, num_experts_per_tok=3,
                      sliding_window=8, rope_parameters={"rope_type": "default", "rope_theta": 500.0}), **BF16,
        adapter=dict(target_modules=["q_proj", "v_proj"]), config_json=transformers_4(),
        config_mistakes=({"num_experts_per_tok": 2}, {"sliding_window": None}, {"rope_theta": 10000.0}),
    ),
    Golden(
        "qwen3_moe", "qwen3_moe, two of four experts whose weights are made to sum to one; adapter on attention",
        Qwen3MoeConfig(**SMALL, head_dim=16, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2,
                       norm_topk_prob=True),
        adapter=dict(target_modules=ATTENTION), lengths=SHORT,
        config_mistakes=({"norm_topk_prob": False}, {"num_experts_per_tok": 1}),
    ),
    Golden(
        "qwen3_moe_bf16", "qwen3_moe, bfloat16 checkpoint, expert weights that do not sum to one, of four layers two "
        "dense ones by decoder_sparse_step and one by mlp_only_layers, transformers-4 spelling; adapter on attention",
        Qwen3MoeConfig(**SMALL | dict(num_hidden_layers=4), head_dim=8, moe_intermediate_size=16, num_experts=4,
                       num_experts_per_tok=2, norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[3]),
        **BF16, adapter=dict(target_modules=["q_proj", "v_proj"]), config_json=qwen3_moe_4,
        config_mistakes=({"norm_topk_prob": True},),
    ),
    Golden(
        "llama_yarn", "llama, yarn with its own attention factor and betas; adapter on attention",
        LlamaConfig(**WIDE_HEADS, tie_word_embeddings=True, rope_parameters=YARN), lengths=SHORT,
        adapter=dict(target_modules=ATTENTION),
        config_mistakes=({"rope_parameters": YARN | {"rope_type": "linear"}},
                         {"rope_parameters": YARN | {"attention_factor": 1.0}},
                         {"rope_parameters": YARN | {"truncate": False}},
                         {"rope_parameters": YARN | {"original_max_position_embeddings": 64}}),
    ),
    Golden(
        "llama_yarn_given", "llama, yarn with attention_factor, beta_fast, beta_slow and truncate given",
        LlamaConfig(**WIDE_HEADS, tie_word_embeddings=True, rope_parameters=YARN_GIVEN), lengths=SHORT,
        config_mistakes=tuple({"rope_parameters": {k: v for k, v in YARN_GIVEN.items() if k != left_out}}
                              for left_out in ("attention_factor", "beta_fast", "beta_slow", "truncate")),
    ),
    Golden(
        "llama_dynamic", "llama, dynamic rope scaling, which texts within the context do not feel",
        LlamaConfig(**SMALL, tie_word_embeddings=True,
                    rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}), lengths=SHORT,
        config_mistakes=({"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}},),
    ),
]
