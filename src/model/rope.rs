//! The rope section of a `config.json`, in both of its spellings.

use serde_json::{Map, Value};

use super::config::Fields;
use super::error::ModelError;

/// How positions turn into angles.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: Scaling,
}

/// The rope type with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    Default,
    /// Positions divided by a factor.
    Linear {
        factor: f64,
    },
    /// Low frequencies divided by a factor, high ones kept, smoothly in between (Llama 3.1).
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_context: f64,
    },
}

impl Rope {
    /// Reads `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).
    ///
    /// A loader that knows only the first spelling silently uses theta = 10,000 for a file in the second.
    #[expect(clippy::float_cmp, reason = "numbers as the config writes them, not computed")]
    pub fn read(fields: &mut Fields, default_theta: f64) -> Result<Self, ModelError> {
        let top: Option<f64> = fields.optional("rope_theta")?;
        let partial: Option<f64> = fields.optional("partial_rotary_factor")?;
        let scaling: Option<Map<String, Value>> = fields.optional("rope_scaling")?;
        let nested: Option<Map<String, Value>> = fields.optional("rope_parameters")?;
        if scaling.is_some() && nested.is_some() && scaling != nested {
            return Err(fields.refused("`rope_scaling` and `rope_parameters` are both given and differ"));
        }
        let mut section = Section { fields, values: nested.or(scaling).unwrap_or_default() };
        let inner = section.number("rope_theta")?;
        if let (Some(top), Some(inner)) = (top, inner)
            && top != inner
        {
            return Err(section.fields.refused(format!("`rope_theta` is {top} at the top and {inner} in the rope section")));
        }
        for factor in [partial, section.number("partial_rotary_factor")?].into_iter().flatten() {
            if factor != 1.0 {
                return Err(section.fields.refused(format!("`partial_rotary_factor` is {factor}, and only 1.0 is understood")));
            }
        }
        let theta = inner.or(top).unwrap_or(default_theta);
        let scaling = section.scaling()?;
        if let Some(unknown) = section.values.keys().next() {
            return Err(section.fields.refused(format!("the rope parameter `{unknown}` is not understood")));
        }
        if !(theta.is_finite() && theta > 1.0) {
            return Err(section.fields.refused(format!("`rope_theta` is {theta}")));
        }
        Ok(Self { theta, scaling })
    }

    /// The angle that a position adds for each pair of dimensions, computed in float32 as transformers does:
    /// `theta^(−2i / head_dim)` for i in `0..head_dim/2`, then scaled.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|i| 1.0 / (self.theta as f32).powf((2 * i) as f32 / head_dim as f32))
            .map(|f| self.scale(f))
            .collect()
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
            Scaling::Default => frequency,
            Scaling::Linear { factor } => frequency / factor as f32,
            Scaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let wavelength = 2.0 * std::f64::consts::PI / f64::from(frequency);
                if wavelength < original_context / high_freq_factor {
                    frequency
                } else if wavelength > original_context / low_freq_factor {
                    (f64::from(frequency) / factor) as f32
                } else {
                    let smooth = (original_context / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    ((1.0 - smooth) * f64::from(frequency) / factor + smooth * f64::from(frequency)) as f32
                }
            }
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
                .map(Some)
                .ok_or_else(|| self.fields.refused(format!("the rope parameter `{name}` is {value}, not a number"))),
        }
    }

    /// A parameter that the type can't do without: finite and above zero.
    fn positive(&mut self, name: &str) -> Result<f64, ModelError> {
        match self.number(name)? {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            Some(value) => Err(self.fields.refused(format!("the rope parameter `{name}` is {value}"))),
            None => Err(self.fields.refused(format!("the rope parameter `{name}` is missing"))),
        }
    }

    fn scaling(&mut self) -> Result<Scaling, ModelError> {
        let new = self.values.remove("rope_type");
        let old = self.values.remove("type");
        let kind = match (&new, &old) {
            (Some(new), Some(old)) if new != old => {
                return Err(self.fields.refused(format!("the rope's type is {new} and {old} at once")));
            }
            (Some(kind), _) | (None, Some(kind)) => kind.clone(),
            (None, None) if self.values.is_empty() => Value::from("default"),
            (None, None) => return Err(self.fields.refused("the rope section names no `rope_type`")),
        };
        match kind.as_str() {
            Some("default") => Ok(Scaling::Default),
            Some("linear") => Ok(Scaling::Linear { factor: self.positive("factor")? }),
            Some("llama3") => {
                let scaling = Scaling::Llama3 {
                    factor: self.positive("factor")?,
                    low_freq_factor: self.positive("low_freq_factor")?,
                    high_freq_factor: self.positive("high_freq_factor")?,
                    original_context: self.positive("original_max_position_embeddings")?,
                };
                if let Scaling::Llama3 { low_freq_factor, high_freq_factor, .. } = scaling
                    && high_freq_factor <= low_freq_factor
                {
                    return Err(self.fields.refused("`high_freq_factor` is not above `low_freq_factor`"));
                }
                Ok(scaling)
            }
            _ => Err(self
                .fields
                .refused(format!("the rope type {kind} is not understood; known are \"default\", \"linear\", \"llama3\""))),
        }
    }
}
