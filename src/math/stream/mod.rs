//! Statistics over streams: one pass, bounded memory, and the figures that memory would have given.
//!
//! A state is a function of the items that it has seen, and not of their order: sums are exact, counts are whole numbers, and a choice of
//! items goes by hashes of their indices. So shards of one run, folded by `merge` in any order, leave the very state (and the very bytes of
//! JSON, where floats are read to the last bit) that one machine would have left. Only [`Sequential`] looks at items in their order.
//!
//! An item's `index` is its place in the whole stream, and each is pushed once. A value that is not finite is kept out, counted, and leaves
//! every figure [`Degenerate::NotFinite`](super::Degenerate::NotFinite). Reading a state checks it, for it may come from another machine.

mod dyadic;
mod exact_sum;
mod extremes;
mod item_hash;
mod lean;
mod moments;
mod pair_moments;
mod poisson_bootstrap;
mod refused;
mod reservoir;
mod sequential;
mod sketch;
mod state_fault;
#[cfg(test)]
mod tests;
mod values;
mod wide;

pub use exact_sum::ExactSum;
pub use extremes::{Extreme, Extremes};
pub use moments::Moments;
pub use pair_moments::PairMoments;
pub use poisson_bootstrap::PoissonBootstrap;
pub use refused::Refused;
pub use reservoir::Reservoir;
pub use sequential::{Asymptotic, Bounded, Decision, Sequential, SequentialFault, Side};
pub use sketch::Sketch;
pub use state_fault::StateFault;
pub use values::{Bounds, Values};
