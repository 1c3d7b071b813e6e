//! What a run found, as data: the runner writes it, the reports are folds over it, scripts read its JSON.
//!
//! A leaf room: plain types in the words of the design, and no behaviour beyond small derived figures. All serialise; a run's record is
//! read back too, by `report`, which knows where figures are not finite.

mod checkup;
mod diagnosis;
mod merge;
mod noise;
mod packed;
mod probe;
mod run;
mod shard;
mod source;
mod stage;
mod trace;

pub use checkup::{CHECKUP_SCHEMA_VERSION, Check, Checkup, Status};
pub use diagnosis::Diagnosis;
pub use merge::{Distance, MERGE_SCHEMA_VERSION, MergeFinding, MergeRecord, MergedAnswer, MergedInfo, MergedModule};
pub use noise::{BesideNoise, Measure, NoiseFloor};
pub use packed::Packed;
pub use probe::{Calibration, Category, Criterion, Estimate, NullOutcome, ProbeRecord, RankedNulls, Verdict};
pub use run::{AdapterInfo, BaseInfo, EmbedderInfo, Event, Gate, Liveness, ModuleLiveness, RunRecord, SCHEMA_VERSION, Stats};
pub use shard::{ProbeState, ShardRecord};
pub use source::{SourceRecord, SourceStats};
pub use stage::{ScoreRecord, StageRecord};
pub use trace::TraceLine;
