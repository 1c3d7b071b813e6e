//! What modules are called: their paths in a checkpoint are those that adapters name.

use crate::model::weights::Tensors;

/// The names of a model's modules.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// What all but the vocabulary projection begin with; a checkpoint of the model without its head lacks it.
    pub prefix: &'static str,
    pub embedding: &'static str,
    /// The embedding of positions.
    pub positions: Option<&'static str>,
    pub layers: &'static str,
    pub layer: LayerNames,
    pub norm: &'static str,
    pub head: &'static str,
    /// Linear layers are stored as (in, out).
    pub transposed: bool,
    /// How tensors end that some checkpoints hold and that are computed from the config.
    pub buffers: &'static [&'static str],
}

impl Names {
    /// Whether a checkpoint is of the model without its head, whose names lack their prefix.
    pub fn is_bare(&self, tensors: &Tensors) -> bool {
        let name = format!("{}.weight", self.embedding);
        !tensors.contains(&name) && name.strip_prefix(self.prefix).is_some_and(|bare| tensors.contains(bare))
    }

    /// The shape of the embedding's tensor.
    pub fn embedding_in<'t>(&self, tensors: &'t Tensors) -> Option<&'t [usize]> {
        let name = format!("{}.weight", self.embedding);
        tensors.shape(if self.is_bare(tensors) { name.strip_prefix(self.prefix)? } else { &name })
    }
}

/// The names of a layer's modules, after the layer's own.
#[derive(Clone, Copy, Debug)]
pub struct LayerNames {
    pub qkv: QkvNames,
    pub attention_output: &'static str,
    /// Norms of queries and keys.
    pub qk_norms: Option<[&'static str; 2]>,
    /// Whether those norms are over all heads at once, and not over each.
    pub whole_qk_norms: bool,
    /// Before the attention.
    pub attention_norm: Option<&'static str>,
    /// Between the attention and the sum.
    pub attention_post_norm: Option<&'static str>,
    /// Before the feed-forward block.
    pub feed_forward_norm: Option<&'static str>,
    /// Between the feed-forward block and the sum.
    pub feed_forward_post_norm: Option<&'static str>,
    pub feed_forward: FeedForwardNames,
    /// A block that some layers have instead.
    pub experts: Option<FeedForwardNames>,
}

/// Queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub enum QkvNames {
    Separate([&'static str; 3]),
    /// All queries, then all keys, then all values.
    Stacked(&'static str),
    /// Query, key and value of one head after another.
    ByHead(&'static str),
}

/// A feed-forward block.
#[derive(Clone, Copy, Debug)]
pub enum FeedForwardNames {
    Gated {
        gate: &'static str,
        up: &'static str,
        down: &'static str,
    },
    /// The gate's outputs, then what it lets through.
    StackedGate {
        gate_up: &'static str,
        down: &'static str,
    },
    Plain {
        up: &'static str,
        down: &'static str,
    },
    /// Of each expert, after its number.
    Experts {
        router: &'static str,
        experts: &'static str,
        gate: &'static str,
        up: &'static str,
        down: &'static str,
    },
}

/// Llama's, which most others share.
pub const LLAMA: Names = Names {
    prefix: "model.",
    embedding: "model.embed_tokens",
    positions: None,
    layers: "model.layers",
    layer: LayerNames {
        qkv: QkvNames::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        attention_output: "self_attn.o_proj",
        qk_norms: None,
        whole_qk_norms: false,
        attention_norm: Some("input_layernorm"),
        attention_post_norm: None,
        feed_forward_norm: Some("post_attention_layernorm"),
        feed_forward_post_norm: None,
        feed_forward: FeedForwardNames::Gated { gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj" },
        experts: None,
    },
    norm: "model.norm",
    head: "lm_head",
    transposed: false,
    buffers: &["rotary_emb.inv_freq"],
};

/// The norms of queries and keys where there are some.
pub const QK_NORMS: Option<[&str; 2]> = Some(["self_attn.q_norm", "self_attn.k_norm"]);
