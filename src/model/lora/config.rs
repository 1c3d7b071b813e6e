//! `adapter_config.json`, as peft writes it: what changes the mathematics is understood or refused by name.

use std::path::Path;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use crate::model::config::Fields;
use crate::model::error::ModelError;

/// The options of a `LoRA` adapter.
pub struct LoraConfig {
    base: Option<String>,
    rank: usize,
    alpha: f64,
    rslora: bool,
    targets: Targets,
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
    pub scale: f64,
}

/// Fields that say how the adapter was trained, or that mean nothing while the option that they belong to is off.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_mapping",
    "corda_config",
    "ensure_weight_tying",
    "fan_in_fan_out",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Options that change the mathematics and are not implemented: refused unless off (absent, null, false, empty, "none").
const REFUSED: &[&str] = &[
    "alora_invocation_tokens",
    "arrow_config",
    "bias",
    "exclude_modules",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];

impl LoraConfig {
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let mut fields = Fields::read(path)?;
        let peft_type: String = fields.required("peft_type")?;
        if peft_type != "LORA" {
            return Err(fields.refused(format!("the peft_type `{peft_type}` is not supported; supported is `LORA`")));
        }
        for name in REFUSED {
            if let Some(value) = fields.take(name).filter(|value| !is_off(value)) {
                return Err(fields.refused(format!("the option `{name}` ({value}) is not implemented; sway would score an adapter without it, which is another adapter")));
            }
        }
        check_init(&mut fields)?;
        for name in WITHOUT_EFFECT {
            fields.take(name);
        }
        let rank = fields.size("r")?;
        let alpha = positive(&mut fields, "lora_alpha")?;
        let config = Self {
            base: fields.optional("base_model_name_or_path")?,
            rank,
            alpha,
            rslora: fields.or("use_rslora", false)?,
            layers: read_layers(&mut fields)?,
            layers_pattern: read_layers_pattern(&mut fields)?,
            rank_pattern: read_pattern(&mut fields, "rank_pattern")?,
            alpha_pattern: read_pattern(&mut fields, "alpha_pattern")?,
            targets: read_targets(&mut fields)?,
        };
        if matches!(config.targets, Targets::Pattern(_)) && (config.layers.is_some() || !config.layers_pattern.is_empty()) {
            return Err(fields.refused("`layers_to_transform` goes with a list of `target_modules`, not with a pattern"));
        }
        fields.finish()?;
        Ok(config)
    }

    /// `; it was made for …`, where the config tells, to end a message about what does not fit.
    pub fn made_for(&self) -> String {
        self.base.as_deref().map_or(String::new(), |base| format!("; it was made for `{base}`"))
    }

    /// Whether peft would adapt the module at `path` (without `base_model.model.`); `head` marks the vocabulary projection,
    /// which `all-linear` leaves out.
    pub fn targets(&self, path: &str, head: bool) -> bool {
        let named = match &self.targets {
            Targets::AllLinear => !head,
            Targets::Pattern(pattern) => matches(pattern, path),
            Targets::Names(names) => names.iter().any(|name| is_suffix(name, path)),
        };
        named && self.layers.as_ref().is_none_or(|layers| self.layer_of(path).is_some_and(|layer| layers.contains(&layer)))
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

    /// Rank and scaling of a module. The first pattern in the file's order decides, as in peft.
    pub fn rank_of(&self, path: &str) -> ModuleRank {
        let first =
            |patterns: &[(Regex, f64)]| patterns.iter().find(|(pattern, _)| matches(pattern, path)).map(|(_, value)| *value);
        let rank = first(&self.rank_pattern).map_or(self.rank, |rank| rank as usize);
        let alpha = first(&self.alpha_pattern).unwrap_or(self.alpha);
        let divisor = if self.rslora { (rank as f64).sqrt() } else { rank as f64 };
        ModuleRank { rank, scale: alpha / divisor }
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

fn read_targets(fields: &mut Fields) -> Result<Targets, ModelError> {
    match fields.take("target_modules") {
        Some(Value::String(text)) if text.eq_ignore_ascii_case("all-linear") => Ok(Targets::AllLinear),
        Some(Value::String(pattern)) => Ok(Targets::Pattern(regex(fields, "target_modules", &format!("^(?:{pattern})$"))?)),
        Some(Value::Array(items)) => {
            let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            names
                .filter(|names| !names.is_empty())
                .map(Targets::Names)
                .ok_or_else(|| fields.refused("`target_modules` is not a list of names"))
        }
        Some(other) => Err(fields.refused(format!("`target_modules` is {other}"))),
        None => Err(fields.refused("`target_modules` is missing, so which layers were adapted can't be told")),
    }
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
