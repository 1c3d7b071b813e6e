use serde::Deserialize;
use toml::Spanned;

use super::{Diagnostic, bounds, table::Table};

/// `[model]`: what is compared, and how it is computed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// A directory, or a hub id.
    #[serde(deserialize_with = "bounds::text")]
    pub base: Spanned<String>,
    /// A PEFT directory, or a hub id.
    #[serde(default, deserialize_with = "bounds::optional_text")]
    pub adapter: Option<Spanned<String>>,
    /// Of the base, on the hub.
    pub revision: Option<String>,
    /// Of the adapter, on the hub.
    pub adapter_revision: Option<String>,
    /// What products are computed in. Its span is the table's header where the key is left out.
    #[serde(default = "unsaid")]
    pub dtype: Spanned<Dtype>,
    /// Where it runs; the CPU where it is left out.
    #[serde(default, deserialize_with = "bounds::optional_text")]
    pub device: Option<Spanned<String>>,
    /// How prompts reach a model that has a chat template.
    #[serde(default)]
    pub chat: Chat,
}

fn unsaid<T: Default>() -> Spanned<T> {
    Spanned::new(0..0, T::default())
}

impl ModelSpec {
    pub(super) fn read(table: &Table) -> (Option<Self>, Vec<Diagnostic>) {
        let reading = table.read::<Self>(&[]);
        let model = reading.value.filter(|_| !reading.filled).map(|mut model| {
            model.dtype = located(model.dtype, table);
            model
        });
        (model, reading.wrong)
    }
}

/// No value lies at 0..0, as a key stands before it.
fn located<T>(value: Spanned<T>, table: &Table) -> Spanned<T> {
    if value.span() == (0..0) { Spanned::new(table.span.clone(), value.into_inner()) } else { value }
}

/// `dtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// The default, whatever the checkpoint's own is.
    #[default]
    F32,
    /// bfloat16 weights, with float32 sums.
    Bf16,
    /// IEEE half precision: known, and refused.
    F16,
}

/// `chat`: what becomes of prompts that are texts. Those that are `messages` go through the chat template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chat {
    /// They are asked as they stand; where the tokenizer has a chat template, the probe warns.
    #[default]
    Auto,
    /// Each is a user's turn.
    User,
    /// As `User`, and once more as they stand; the probe tells its figure of both.
    Both,
    /// As they stand, and no one is warned.
    Off,
}
