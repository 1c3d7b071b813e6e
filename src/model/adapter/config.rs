//! `adapter_config.json`, as peft writes it: what changes the mathematics is understood or refused by name.

use std::path::Path;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use crate::model::config::Fields;
use crate::model::error::ModelError;

/// What kinds of adapters are read: peft's name for each, and what is understood of it.
pub const PEFT_TYPES: [(&str, Kind, &str); 7] = [
    ("LORA", Kind::Lora, "with all options below"),
    ("ADALORA", Kind::AdaLora, "a low-rank update"),
    ("IA3", Kind::Ia3, "factors of outputs and inputs"),
    ("LOHA", Kind::Loha, "a matrix beside the weight, of linear layers"),
    ("LOKR", Kind::Lokr, "a matrix beside the weight, of linear layers"),
    ("VERA", Kind::Vera, "a low-rank update, where `save_projection` was on"),
    ("LN_TUNING", Kind::LnTuning, "other norms"),
];

/// The kind of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lora,
    AdaLora,
    Ia3,
    Loha,
    Lokr,
    Vera,
    LnTuning,
}

/// Which biases an adapter brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BiasesSaved {
    None,
    /// Of the layers that it adapts.
    OfTargets,
    All,
}

/// The options of an adapter.
#[expect(clippy::struct_excessive_bools, reason = "options as peft has them, each of its own")]
pub struct Config {
    pub kind: Kind,
    pub base: Option<String>,
    pub rank: usize,
    pub alpha: f64,
    rslora: bool,
    pub dora: bool,
    pub lora_bias: bool,
    pub biases: BiasesSaved,
    /// The head follows what becomes of the embedding, where the base ties them.
    pub tying: bool,
    targets: Targets,
    excluded: Targets,
    feed_forward: Targets,
    /// Modules that were trained whole, by the ends of their paths.
    whole: Vec<String>,
    /// Tokens whose embeddings were trained, in the order of the rows.
    pub tokens: Vec<u32>,
    layers: Option<Vec<usize>>,
    layers_pattern: Vec<Regex>,
    rank_pattern: Vec<(Regex, f64)>,
    alpha_pattern: Vec<(Regex, f64)>,
}

enum Targets {
    AllLinear,
    Pattern(Regex),
    Names(Vec<String>),
}

/// Rank and scaling of one module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModuleRank {
    pub rank: usize,
    pub alpha: f64,
    pub scale: f64,
}

/// Fields that say how the adapter was trained, or that mean nothing while the option that they belong to is off.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_mapping",
    "corda_config",
    "d_initial",
    "decompose_both",
    "decompose_factor",
    "eva_config",
    // Said of layers that store their weights as (in, out), which the base's architecture tells.
    "fan_in_fan_out",
    "inference_mode",
    "init_ia3_weights",
    "init_weights",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "module_dropout",
    "peft_version",
    "projection_prng_key",
    "qalora_group_size",
    "rank_dropout",
    "rank_dropout_scale",
    "revision",
    "runtime_config",
    "save_projection",
    "task_type",
    "vera_dropout",
];

/// Of `AdaLoRA`'s training.
const ADALORA_TRAINING: &[&str] =
    &["target_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight", "total_step", "rank_pattern", "r"];

/// Options that change the mathematics and are not implemented: refused unless off (absent, null, false, empty, "none").
pub const REFUSED: &[&str] = &[
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_effective_conv2d",
    "use_qalora",
    "velora_config",
];

impl Config {
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let mut fields = Fields::read(path)?;
        let peft_type: String = fields.required("peft_type")?;
        let Some((_, kind, _)) = PEFT_TYPES.iter().find(|(name, ..)| *name == peft_type) else {
            let known = PEFT_TYPES.map(|(name, ..)| format!("`{name}`")).join(", ");
            return Err(fields.refused(format!(
                "the peft_type `{peft_type}` is not supported; supported are {known}\nhint: merge it into its base with peft's `merge_and_unload`, save the model, and name that as the adapter"
            )));
        };
        for name in REFUSED {
            if let Some(value) = fields.take(name).filter(|value| !is_off(value)) {
                return Err(fields.refused(format!("the option `{name}` ({value}) is not implemented; sway would score an adapter without it, which is another adapter")));
            }
        }
        check_init(&mut fields)?;
        for name in WITHOUT_EFFECT {
            fields.take(name);
        }
        let config = Self::read_kind(&mut fields, *kind)?;
        if config.kind != Kind::Lora {
            let options = [("use_dora", config.dora), ("use_rslora", config.rslora), ("lora_bias", config.lora_bias)];
            if let Some((name, _)) = options.iter().find(|(_, on)| *on) {
                return Err(fields.refused(format!("the option `{name}` does not go with the peft_type `{peft_type}`")));
            }
        }
        if matches!(config.targets, Targets::Pattern(_)) && (config.layers.is_some() || !config.layers_pattern.is_empty()) {
            return Err(fields.refused("`layers_to_transform` goes with a list of `target_modules`, not with a pattern"));
        }
        fields.finish()?;
        Ok(config)
    }

    fn read_kind(fields: &mut Fields, kind: Kind) -> Result<Self, ModelError> {
        let (rank, alpha) = match kind {
            Kind::Lora => (fields.size("r")?, positive(fields, "lora_alpha")?),
            Kind::AdaLora => (fields.size("init_r")?, positive(fields, "lora_alpha")?),
            Kind::Loha | Kind::Lokr => (fields.size("r")?, positive(fields, "alpha")?),
            Kind::Vera => (fields.size("r")?, 1.0),
            Kind::Ia3 | Kind::LnTuning => (1, 1.0),
        };
        if kind == Kind::AdaLora {
            for name in ADALORA_TRAINING {
                fields.take(name);
            }
        }
        let biases = match fields.or("bias", "none".to_owned())?.as_str() {
            "none" | "" => BiasesSaved::None,
            "all" => BiasesSaved::All,
            "lora_only" | "vera_only" => BiasesSaved::OfTargets,
            other => return Err(fields.refused(format!("`bias` is \"{other}\""))),
        };
        let nothing = || Targets::Names(Vec::new());
        Ok(Self {
            kind,
            base: fields.optional("base_model_name_or_path")?,
            rank,
            alpha,
            rslora: fields.or("use_rslora", false)?,
            dora: fields.or("use_dora", false)?,
            lora_bias: fields.or("lora_bias", false)?,
            biases,
            tying: fields.or("ensure_weight_tying", false)?,
            layers: read_layers(fields)?,
            layers_pattern: read_layers_pattern(fields)?,
            rank_pattern: read_pattern(fields, "rank_pattern")?,
            alpha_pattern: read_pattern(fields, "alpha_pattern")?,
            targets: read_targets(fields, "target_modules")?
                .ok_or_else(|| fields.refused("`target_modules` is missing, so which layers were adapted can't be told"))?,
            excluded: read_targets(fields, "exclude_modules")?.unwrap_or_else(nothing),
            feed_forward: read_targets(fields, "feedforward_modules")?.unwrap_or_else(nothing),
            whole: fields.or("modules_to_save", Vec::new())?,
            tokens: read_tokens(fields)?,
        })
    }

    /// `; it was made for …`, where the config tells, to end a message about what does not fit.
    pub fn made_for(&self) -> String {
        self.base.as_deref().map_or(String::new(), |base| format!("; it was made for `{base}`"))
    }

    pub fn has_rank(&self) -> bool {
        matches!(self.kind, Kind::Lora | Kind::Loha | Kind::Lokr)
    }

    /// Whether a module was trained whole and stands in the place of the base's.
    pub fn is_whole(&self, path: &str) -> bool {
        self.whole.iter().any(|name| path.ends_with(name.as_str()))
    }

    /// Whether a list or a pattern names a module that is no linear layer.
    pub fn names(&self, path: &str) -> bool {
        !matches!(self.targets, Targets::AllLinear) && self.targets.hold(path, false)
    }

    /// Whether `IA3` multiplies a module's inputs, and not its outputs.
    pub fn is_feed_forward(&self, path: &str) -> bool {
        self.feed_forward.hold(path, false)
    }

    /// Whether peft would adapt the module at `path` (without `base_model.model.`); `head` marks the vocabulary projection,
    /// which `all-linear` leaves out.
    pub fn targets(&self, path: &str, head: bool) -> bool {
        !self.excluded.hold(path, head)
            && self.targets.hold(path, head)
            && self.layers.as_ref().is_none_or(|layers| self.layer_of(path).is_some_and(|layer| layers.contains(&layer)))
    }

    /// The layer's number in a module's path: the first numbered segment, or the one after the layers' own name.
    fn layer_of(&self, path: &str) -> Option<usize> {
        if self.layers_pattern.is_empty() {
            let mut segments = path.split('.').skip(2).peekable();
            while let Some(segment) = segments.next() {
                if segments.peek().is_some() && !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
                    return segment.parse().ok();
                }
            }
            // `layers.0.…` without a prefix has its number in the second segment, which peft's own pattern does not accept.
            return None;
        }
        self.layers_pattern.iter().find_map(|pattern| pattern.captures(path).ok().flatten()?.get(1)?.as_str().parse().ok())
    }

    /// What `AdaLoRA` multiplies its products by, over the rank that it began with.
    pub fn adalora_scale(&self) -> f64 {
        self.alpha / (self.rank as f64 + 1e-5)
    }

    /// Rank and scaling of a module. The first pattern in the file's order decides, as in peft.
    pub fn rank_of(&self, path: &str) -> ModuleRank {
        let first =
            |patterns: &[(Regex, f64)]| patterns.iter().find(|(pattern, _)| matches(pattern, path)).map(|(_, value)| *value);
        let rank = first(&self.rank_pattern).map_or(self.rank, |rank| rank as usize);
        let alpha = first(&self.alpha_pattern).unwrap_or(self.alpha);
        let divisor = if self.rslora { (rank as f64).sqrt() } else { rank as f64 };
        ModuleRank { rank, alpha, scale: alpha / divisor }
    }
}

impl Targets {
    /// Whether they name the module at a path; "all-linear" leaves the vocabulary projection out.
    fn hold(&self, path: &str, head: bool) -> bool {
        match self {
            Self::AllLinear => !head,
            Self::Pattern(pattern) => matches(pattern, path),
            Self::Names(names) => names.iter().any(|name| is_suffix(name, path)),
        }
    }
}

fn matches(pattern: &Regex, path: &str) -> bool {
    pattern.is_match(path).unwrap_or(false)
}

fn is_suffix(name: &str, path: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text == "none" || text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

/// Most initialisers are of no interest once the adapter is trained. Some (`PiSSA`, `OLoRA`, `CorDA`, `LoftQ`, LoRA-GA) take their start
/// out of the base's weights, and peft does so again when it loads the adapter.
fn check_init(fields: &mut Fields) -> Result<(), ModelError> {
    match fields.take("init_lora_weights") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(Value::String(name)) if ["gaussian", "orthogonal", "eva"].contains(&name.to_lowercase().as_str()) => Ok(()),
        Some(other) => Err(fields.refused(format!(
            "`init_lora_weights` is {other}, which may change the base's own weights, and that is not implemented\nhint: save the adapter converted to a plain LoRA (peft's `path_initial_model_for_weight_conversion`)"
        ))),
    }
}

fn positive(fields: &mut Fields, name: &str) -> Result<f64, ModelError> {
    let value: f64 = fields.required(name)?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(fields.refused(format!("`{name}` is {value}"))) }
}

fn regex(fields: &Fields, what: &str, pattern: &str) -> Result<Regex, ModelError> {
    Regex::new(pattern).map_err(|e| fields.refused(format!("`{what}` holds a pattern that is not understood: {e}")))
}

fn read_targets(fields: &mut Fields, name: &str) -> Result<Option<Targets>, ModelError> {
    match fields.take(name) {
        Some(Value::String(text)) if text.eq_ignore_ascii_case("all-linear") => Ok(Some(Targets::AllLinear)),
        Some(Value::String(pattern)) => Ok(Some(Targets::Pattern(regex(fields, name, &format!("^(?:{pattern})$"))?))),
        Some(Value::Array(items)) => {
            let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            names
                .filter(|names| !names.is_empty() || name != "target_modules")
                .map(|names| Some(Targets::Names(names)))
                .ok_or_else(|| fields.refused(format!("`{name}` is not a list of names")))
        }
        Some(other) => Err(fields.refused(format!("`{name}` is {other}"))),
        None => Ok(None),
    }
}

/// `trainable_token_indices`: tokens, or tokens by the embedding's name.
fn read_tokens(fields: &mut Fields) -> Result<Vec<u32>, ModelError> {
    let tokens = |value: &Value| -> Option<Vec<u32>> {
        value.as_array()?.iter().map(|token| u32::try_from(token.as_u64()?).ok()).collect()
    };
    let found = match fields.take("trainable_token_indices") {
        None => return Ok(Vec::new()),
        Some(Value::Object(by_name)) if by_name.len() <= 1 => by_name.values().next().map_or(Some(Vec::new()), tokens),
        Some(value) => tokens(&value),
    };
    found.ok_or_else(|| fields.refused("`trainable_token_indices` is no list of tokens of one embedding"))
}

fn read_layers(fields: &mut Fields) -> Result<Option<Vec<usize>>, ModelError> {
    match fields.take("layers_to_transform") {
        None => Ok(None),
        Some(Value::Number(layer)) => layer
            .as_u64()
            .map(|layer| Some(vec![layer as usize]))
            .ok_or_else(|| fields.refused("`layers_to_transform` is not a layer's number")),
        Some(Value::Array(layers)) => {
            let numbers: Option<Vec<usize>> = layers.iter().map(|layer| layer.as_u64().map(|layer| layer as usize)).collect();
            numbers
                .map(|numbers| Some(numbers).filter(|n| !n.is_empty()))
                .ok_or_else(|| fields.refused("`layers_to_transform` is not a list of layer numbers"))
        }
        Some(other) => Err(fields.refused(format!("`layers_to_transform` is {other}"))),
    }
}

fn read_layers_pattern(fields: &mut Fields) -> Result<Vec<Regex>, ModelError> {
    let patterns = match fields.take("layers_pattern") {
        None => Vec::new(),
        Some(Value::String(pattern)) => vec![pattern],
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Some(other) => return Err(fields.refused(format!("`layers_pattern` is {other}"))),
    };
    patterns
        .iter()
        .filter(|p| !p.is_empty())
        .map(|pattern| regex(fields, "layers_pattern", &format!(r"^(?:.*?\.)?{pattern}\.(\d+)\.")))
        .collect()
}

/// `rank_pattern` or `alpha_pattern`: peft matches `(.*\.)?(key)$` from the start of a module's path.
fn read_pattern(fields: &mut Fields, name: &str) -> Result<Vec<(Regex, f64)>, ModelError> {
    let pattern: Map<String, Value> = fields.or(name, Map::new())?;
    pattern
        .into_iter()
        .map(|(key, value)| {
            let number = value
                .as_f64()
                .filter(|number| number.is_finite() && *number > 0.0)
                .ok_or_else(|| fields.refused(format!("`{name}` gives `{key}` the value {value}")))?;
            if name == "rank_pattern" && number.fract() != 0.0 {
                return Err(fields.refused(format!("`{name}` gives `{key}` the rank {number}")));
            }
            Ok((regex(fields, name, &format!(r"^(?:.*\.)?(?:{key})$"))?, number))
        })
        .collect()
}
