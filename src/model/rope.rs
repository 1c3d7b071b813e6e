//! The rope section of a `config.json`, in both of its spellings.

use std::f64::consts::PI;

use serde_json::{Map, Value};

use super::config::Fields;
use super::error::ModelError;

/// Known to [`Rope::read`].
pub const ROPE_TYPES: [&str; 6] = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"];

/// How positions turn into angles.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    /// Dimensions of a head that turn: the first ones.
    pub dims: usize,
    pub scaling: Scaling,
}

/// The rope type with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Also `dynamic`, which differs only beyond the context that the config states, where sway refuses a text.
    Default,
    /// Positions divided by a factor.
    Linear { factor: f64 },
    /// Low frequencies divided by a factor, high ones kept, smoothly in between (Llama 3.1).
    Llama3 { factor: f64, low_freq_factor: f64, high_freq_factor: f64, original_context: f64 },
    /// Frequencies divided by a factor below one dimension, kept above another, with a ramp in between (Peng et al., 2023).
    Yarn { factor: f64, low: f64, high: f64, attention_factor: f64 },
    /// Frequencies divided by factors of their own: other ones for a text that is longer than the original context (Ding et al.,
    /// 2024).
    LongRope { short: Vec<f64>, long: Vec<f64>, attention_factor: f64, original_context: usize },
}

/// What angles are computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// The angle that a position adds, for each pair of dimensions.
    pub inverse: Vec<f32>,
    /// By this, cosine and sine are multiplied.
    pub factor: f32,
}

/// What an architecture says of its rope where the config does not.
#[derive(Clone, Copy, Debug)]
pub struct RopeDefaults {
    pub theta: f64,
    /// The share of a head's dimensions that turn; `None` where the architecture turns all, whatever the config says.
    pub partial: Option<f64>,
    pub head_dim: usize,
    /// The context.
    pub positions: usize,
}

impl Rope {
    /// Reads `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).
    ///
    /// A loader that knows only the first spelling silently uses theta = 10,000 for a file in the second.
    pub fn read(fields: &mut Fields, defaults: RopeDefaults) -> Result<Self, ModelError> {
        let top: Option<f64> = fields.optional("rope_theta")?;
        let scaling: Option<Map<String, Value>> = fields.optional("rope_scaling")?;
        let nested: Option<Map<String, Value>> = fields.optional("rope_parameters")?;
        if scaling.is_some() && nested.is_some() && scaling != nested {
            return Err(fields.refused("`rope_scaling` and `rope_parameters` are both given and differ"));
        }
        Self::from_section(fields, nested.or(scaling).unwrap_or_default(), top, defaults)
    }

    /// Reads one rope section; `top` is the theta that stands outside of it.
    #[expect(clippy::float_cmp, reason = "numbers as the config writes them, not computed")]
    pub fn from_section(
        fields: &mut Fields,
        values: Map<String, Value>,
        top: Option<f64>,
        defaults: RopeDefaults,
    ) -> Result<Self, ModelError> {
        let outside: Option<f64> = fields.optional("partial_rotary_factor")?;
        let original: Option<u64> = fields.optional("original_max_position_embeddings")?;
        let mut section = Section { fields, values };
        let inner = section.number("rope_theta")?;
        if let (Some(top), Some(inner)) = (top, inner)
            && top != inner
        {
            return Err(section.fields.refused(format!("`rope_theta` is {top} at the top and {inner} in the rope section")));
        }
        let theta = inner.or(top).unwrap_or(defaults.theta);
        if !(theta.is_finite() && theta > 1.0) {
            return Err(section.fields.refused(format!("`rope_theta` is {theta}")));
        }
        let inside = section.number("partial_rotary_factor")?;
        let dims = section.dims(outside, inside, defaults)?;
        let scaling = section.scaling(theta, dims, defaults.positions, original)?;
        if let Some(unknown) = section.values.keys().next() {
            return Err(section.fields.refused(format!("the rope parameter `{unknown}` is not understood")));
        }
        Ok(Self { theta, dims, scaling })
    }

    /// A text longer than this has other angles than a shorter one, at the same positions too.
    pub fn long_after(&self) -> Option<usize> {
        match self.scaling {
            Scaling::LongRope { original_context, .. } => Some(original_context),
            _ => None,
        }
    }

    /// Computed in float32 as transformers does: `theta^(−2i / dims)` for i in `0..dims / 2`, then scaled. `long` for a text that
    /// is longer than [`Self::long_after`].
    #[expect(clippy::float_cmp, reason = "the singularity that transformers steps around")]
    pub fn frequencies(&self, long: bool) -> Frequencies {
        let pairs = self.dims / 2;
        let power = |i: usize| (self.theta as f32).powf((2 * i) as f32 / self.dims as f32);
        let inverse = match &self.scaling {
            Scaling::LongRope { short, long: longer, .. } => {
                let factors = if long { longer } else { short };
                (0..pairs).map(|i| 1.0 / (factors[i] as f32 * power(i))).collect()
            }
            Scaling::Yarn { factor, low, high, .. } => (0..pairs)
                .map(|i| {
                    let width = if low == high { 0.001 } else { high - low };
                    let ramp = ((i as f32 - *low as f32) / width as f32).clamp(0.0, 1.0);
                    let kept = 1.0 - ramp;
                    1.0 / (*factor as f32 * power(i)) * (1.0 - kept) + 1.0 / power(i) * kept
                })
                .collect(),
            _ => (0..pairs).map(|i| self.scale(1.0 / power(i))).collect(),
        };
        let factor = match self.scaling {
            Scaling::Yarn { attention_factor, .. } | Scaling::LongRope { attention_factor, .. } => attention_factor,
            _ => 1.0,
        };
        Frequencies { inverse, factor: factor as f32 }
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
            Scaling::Linear { factor } => frequency / factor as f32,
            Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let wavelength = 2.0 * PI / f64::from(frequency);
                if wavelength < original_context / high_freq_factor {
                    frequency
                } else if wavelength > original_context / low_freq_factor {
                    (f64::from(frequency) / factor) as f32
                } else {
                    let smooth = (original_context / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    ((1.0 - smooth) * f64::from(frequency) / factor + smooth * f64::from(frequency)) as f32
                }
            }
            _ => frequency,
        }
    }
}

/// The table that holds the rope's type and parameters.
struct Section<'a> {
    fields: &'a Fields,
    values: Map<String, Value>,
}

impl Section<'_> {
    fn number(&mut self, name: &str) -> Result<Option<f64>, ModelError> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .filter(|value| value.is_finite())
                .map(Some)
                .ok_or_else(|| self.fields.refused(format!("the rope parameter `{name}` is {value}, not a number"))),
        }
    }

    /// A parameter above zero.
    fn optional(&mut self, name: &str) -> Result<Option<f64>, ModelError> {
        match self.number(name)? {
            Some(value) if value <= 0.0 => Err(self.fields.refused(format!("the rope parameter `{name}` is {value}"))),
            value => Ok(value),
        }
    }

    /// A parameter that the type can't do without.
    fn positive(&mut self, name: &str) -> Result<f64, ModelError> {
        self.optional(name)?.ok_or_else(|| self.fields.refused(format!("the rope parameter `{name}` is missing")))
    }

    /// Dimensions of a head that turn.
    #[expect(clippy::float_cmp, reason = "numbers as the config writes them, not computed")]
    fn dims(&self, outside: Option<f64>, inside: Option<f64>, defaults: RopeDefaults) -> Result<usize, ModelError> {
        if let (Some(outside), Some(inside)) = (outside, inside)
            && outside != inside
        {
            let both = format!("`partial_rotary_factor` is {outside} at the top and {inside} in the rope section");
            return Err(self.fields.refused(both));
        }
        let share = inside.or(outside).or(defaults.partial).unwrap_or(1.0);
        if defaults.partial.is_none() && share != 1.0 {
            return Err(self
                .fields
                .refused(format!("`partial_rotary_factor` is {share}, and this architecture turns whole heads")));
        }
        let dims = (defaults.head_dim as f64 * share) as usize;
        if share == 1.0 && !dims.is_multiple_of(2) {
            return Err(self.fields.refused(format!("`head_dim` {dims} is odd, and rope turns pairs of dimensions")));
        }
        if !(share > 0.0 && share <= 1.0 && dims > 0 && dims.is_multiple_of(2)) {
            let turned =
                format!("`partial_rotary_factor` is {share}, which turns {dims} dimensions of a head of {}", defaults.head_dim);
            return Err(self.fields.refused(turned));
        }
        Ok(dims)
    }

    /// The rope's type.
    fn kind(&mut self) -> Result<Value, ModelError> {
        let new = self.values.remove("rope_type");
        let old = self.values.remove("type");
        match (&new, &old) {
            (Some(new), Some(old)) if new != old => {
                Err(self.fields.refused(format!("the rope's type is {new} and {old} at once")))
            }
            (Some(kind), _) | (None, Some(kind)) => Ok(kind.clone()),
            (None, None) if self.values.is_empty() => Ok(Value::from("default")),
            (None, None) => Err(self.fields.refused("the rope section names no `rope_type`")),
        }
    }

    fn scaling(&mut self, theta: f64, dims: usize, positions: usize, original: Option<u64>) -> Result<Scaling, ModelError> {
        let kind = self.kind()?;
        match kind.as_str() {
            Some("default") => Ok(Scaling::Default),
            Some("linear") => Ok(Scaling::Linear { factor: self.positive("factor")? }),
            Some("dynamic") => {
                self.positive("factor")?;
                Ok(Scaling::Default)
            }
            Some("llama3") => self.llama3(positions, original),
            Some("yarn") => self.yarn(theta, dims, positions, original),
            Some("longrope" | "su") => self.longrope(dims, positions, original),
            _ => Err(self.fields.refused(format!(
                "the rope type {kind} is not understood; known are {}",
                ROPE_TYPES.map(|name| format!("\"{name}\"")).join(", ")
            ))),
        }
    }

    /// The context of the first training: the config's own field comes before the section's.
    fn original_context(&mut self, positions: usize, outside: Option<u64>) -> Result<f64, ModelError> {
        let inside = self.optional("original_max_position_embeddings")?;
        Ok(outside.map(|context| context as f64).or(inside).unwrap_or(positions as f64))
    }

    fn llama3(&mut self, positions: usize, original: Option<u64>) -> Result<Scaling, ModelError> {
        let factor = self.positive("factor")?;
        let (low_freq_factor, high_freq_factor) = (self.positive("low_freq_factor")?, self.positive("high_freq_factor")?);
        if high_freq_factor <= low_freq_factor {
            return Err(self.fields.refused("`high_freq_factor` is not above `low_freq_factor`"));
        }
        let original_context = self.original_context(positions, original)?;
        Ok(Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context })
    }

    fn yarn(&mut self, theta: f64, dims: usize, positions: usize, original: Option<u64>) -> Result<Scaling, ModelError> {
        let original_context = self.original_context(positions, original)?;
        let factor = self.optional("factor")?.unwrap_or(positions as f64 / original_context);
        let (mscale, mscale_all_dim) = (self.number("mscale")?, self.number("mscale_all_dim")?);
        let scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
        let inferred = match (mscale, mscale_all_dim) {
            (Some(one), Some(all)) if one != 0.0 && all != 0.0 => scale(one) / scale(all),
            _ => scale(1.0),
        };
        let attention_factor = self.optional("attention_factor")?.unwrap_or(inferred);
        let fast = self.optional("beta_fast")?.unwrap_or(32.0);
        let slow = self.optional("beta_slow")?.unwrap_or(1.0);
        let whole = match self.values.remove("truncate") {
            None | Some(Value::Null | Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(other) => return Err(self.fields.refused(format!("the rope parameter `truncate` is {other}"))),
        };
        // The dimension that turns this often in the original context.
        let dim = |turns: f64| dims as f64 * (original_context / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
        let (low, high) = if whole { (dim(fast).floor(), dim(slow).ceil()) } else { (dim(fast), dim(slow)) };
        Ok(Scaling::Yarn { factor, low: low.max(0.0), high: high.min(dims as f64 - 1.0), attention_factor })
    }

    fn longrope(&mut self, dims: usize, positions: usize, original: Option<u64>) -> Result<Scaling, ModelError> {
        let original_context = self.original_context(positions, original)?;
        let factor = self.optional("factor")?.unwrap_or(positions as f64 / original_context);
        let inferred = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original_context.ln()).sqrt() };
        let attention_factor = self.optional("attention_factor")?.unwrap_or(inferred);
        let (short, long) = (self.factors("short_factor", dims / 2)?, self.factors("long_factor", dims / 2)?);
        Ok(Scaling::LongRope { short, long, attention_factor, original_context: original_context as usize })
    }

    /// One factor above zero for each pair of dimensions.
    fn factors(&mut self, name: &str, pairs: usize) -> Result<Vec<f64>, ModelError> {
        let given = self.values.remove(name).unwrap_or_default();
        let factors: Option<Vec<f64>> = given.as_array().and_then(|items| items.iter().map(Value::as_f64).collect());
        match factors {
            Some(factors) if factors.len() == pairs && factors.iter().all(|factor| *factor > 0.0) => Ok(factors),
            _ => Err(self.fields.refused(format!("the rope parameter `{name}` is not a list of {pairs} numbers above zero"))),
        }
    }
}
