//! Passes on a GPU, through candle: the same decoder as the CPU's, in candle's operations.
//!
//! Plain where the CPU's passes are clever. A text goes through alone, so that its bits depend on nothing that is asked beside it;
//! nothing is shared between texts but a text itself. The weights lie on the device in the dtype of their checkpoint, and are
//! widened as they are multiplied. Logits come back to the host, which reads them as it reads its own.
//!
//! - `name`: what users call devices, and whether this build has them. `accelerator`: one that holds a model.
//! - `resident`: the base's weights there; `changes`: what a view changes of them; `ops`: what candle lacks.
//! - `pass`: a text through the layers; `score`, `generate`: jobs to answers.

mod accelerator;
mod changes;
mod generate;
mod name;
pub(super) mod ops;
mod pass;
mod resident;
mod score;

pub use accelerator::Accelerator;
pub use name::{Device, UnknownDevice};
