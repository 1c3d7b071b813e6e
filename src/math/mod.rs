//! The numbers behind a verdict: pure functions over slices, with no input or output, no clock, and no chance that a seed
//! does not fix.
//!
//! Divergences are in nats, over whole vocabularies. Intervals are 95 % intervals; p-values say how often chance alone
//! would do as much. What has no defined value (too few values, one that is not finite, no spread) is a [`Degenerate`]
//! and never a number, so that no probe can pass on NaN.

mod binomial;
mod bisection;
mod bootstrap;
mod change;
mod cluster;
mod degenerate;
mod divergence;
mod exp;
mod group_variance;
mod halving;
mod interval;
mod k_means;
mod label_shuffle;
mod lanes;
mod line;
mod multiplicity;
mod normal;
mod null;
mod paired_shares;
mod permutation;
mod power;
mod quantile;
mod roc;
mod seed;
mod share;
mod skew;
pub mod stream;
mod student;
mod subsequence;
pub mod text;
mod units;

#[cfg(test)]
mod golden_tests;

pub use binomial::mcnemar;
pub use bootstrap::{Bootstrap, Endpoints};
pub use change::largest_change;
pub use cluster::{ClusteredShare, clustered_share, mean_variance_by};
pub use degenerate::Degenerate;
pub use divergence::{Distribution, log_softmax, log_sum_exp};
pub use group_variance::GroupVariance;
pub use halving::halvings_per_unit;
pub use interval::Interval;
pub use k_means::{Clusters, k_means};
pub use label_shuffle::{group_shuffle, label_shuffle};
pub use line::Line;
pub use multiplicity::benjamini_hochberg;
pub use null::NullComparison;
pub use paired_shares::PairedShares;
pub use permutation::{Permutation, SignFlip};
pub use power::{items_to_settle, smallest_detectable_effect};
pub use quantile::{mean, median, quantile, quantiles, sd};
pub use roc::{Auc, auc, true_positive_rate};
pub use seed::{derive_seed, generator};
pub use share::{clopper_pearson, wilson};
pub use skew::{mean_interval, mean_interval_by, ratio_interval, ratio_interval_by};
pub use student::{student_interval, student_quantile, student_sf, student_two_sided};
pub use subsequence::common_subsequence_length;
