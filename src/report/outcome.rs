//! What every human report says first: the gate's word, the score, the tally, and what stands beside the score.

use crate::record::{BesideNoise, Liveness, ModuleLiveness, ProbeRecord, RunRecord, ShardRecord, SourceRecord, Verdict};

use super::number;

/// All verdicts, in the order in which a reader wants them counted.
pub(super) const VERDICTS: [Verdict; 6] =
    [Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Inconclusive, Verdict::Error, Verdict::Skip];

/// The adapter's liveness where it is dead, or may be: then it is the finding, and no probe counts.
pub(super) fn dead(run: &RunRecord) -> Option<&Liveness> {
    run.liveness.as_ref().filter(|liveness| !liveness.live)
}

/// What such a liveness says, before its message.
pub(super) fn not_live(liveness: &Liveness) -> &'static str {
    if liveness.inconclusive { "it can't be told whether the adapter is live" } else { "the adapter is not live" }
}

/// What the noise floor was measured between.
pub(super) fn noise_floor(run: &RunRecord) -> String {
    let computed_in = run.base.computed_in();
    if computed_in == "f32" { "noise floor".to_owned() } else { format!("noise floor ({computed_in} against f32)") }
}

/// The part of a run that this is, where it came to its end and its adapter is live.
pub(super) fn part(run: &RunRecord) -> Option<&ShardRecord> {
    run.shard.as_ref().filter(|_| !run.interrupted && dead(run).is_none())
}

/// `score 0.81 (healthy)`.
pub(super) fn score(run: &RunRecord) -> String {
    match (run.gate.score, &run.gate.band) {
        (Some(score), Some(band)) => format!("score {} ({band})", number::score(score)),
        (Some(score), None) => format!("score {}", number::score(score)),
        (None, _) => "no score".to_owned(),
    }
}

/// `6 probes: 4 passed, 1 failed, 1 inconclusive`.
pub(super) fn tally(probes: &[ProbeRecord]) -> String {
    let counts: Vec<String> = VERDICTS
        .iter()
        .map(|&verdict| (of_verdict(probes, verdict), verdict))
        .filter(|(n, _)| *n > 0)
        .map(|(n, verdict)| format!("{n} {}", past(verdict)))
        .collect();
    let all = number::plural(probes.len() as u64, "probe");
    if counts.is_empty() { all } else { format!("{all}: {}", counts.join(", ")) }
}

/// How many probes ended so.
pub(super) fn of_verdict(probes: &[ProbeRecord], verdict: Verdict) -> usize {
    probes.iter().filter(|probe| probe.verdict == verdict).count()
}

/// The probes that the score does not count.
pub(super) fn left_out(probes: &[ProbeRecord]) -> impl Iterator<Item = &ProbeRecord> {
    probes.iter().filter(|probe| matches!(probe.verdict, Verdict::Skip | Verdict::Error | Verdict::Inconclusive))
}

/// What an interrupted run says of itself.
pub(super) fn interrupted(run: &RunRecord) -> Option<String> {
    // Those that had not finished are there too, as skipped.
    let finished = run.probes.iter().filter(|probe| probe.verdict != Verdict::Skip).count();
    run.interrupted.then(|| match finished as u64 {
        0 => "the run was stopped before any probe had finished".to_owned(),
        n => format!("the run was stopped; only the {} that had finished count", number::plural(n, "probe")),
    })
}

/// Why the nulls do not calibrate this probe, where it drew some.
pub(super) fn degenerate(probe: &ProbeRecord) -> Option<&str> {
    use crate::record::NullOutcome::{Compared, Degenerate};
    match &probe.calibration.as_ref()?.outcome {
        Degenerate { degenerate } => Some(degenerate),
        Compared { .. } => None,
    }
}

/// What computing alone explains of the divergence that the finding stands on.
pub(super) fn noise(probe: &ProbeRecord) -> Option<String> {
    let BesideNoise { measure, value, floor } = probe.noise?;
    let name = measure.name();
    Some(format!("noise floor {} nats of {name}, where {} were found", number::significant(floor), number::significant(value)))
}

/// The z-score against the nulls, where there is one.
pub(super) fn z(probe: &ProbeRecord) -> Option<f64> {
    use crate::record::NullOutcome::{Compared, Degenerate};
    match probe.calibration.as_ref()?.outcome {
        Compared { z, .. } => Some(z),
        Degenerate { .. } => None,
    }
}

/// Median and largest of the modules' relative norms. One that is no number counts as the largest, whatever its sign: it must show.
pub(super) fn norms<'a>(modules: impl IntoIterator<Item = &'a ModuleLiveness>) -> Option<[f64; 2]> {
    let norm = |module: &ModuleLiveness| if module.relative_norm.is_nan() { f64::NAN } else { module.relative_norm };
    let mut norms: Vec<f64> = modules.into_iter().map(norm).collect();
    norms.sort_by(f64::total_cmp);
    let largest = *norms.last()?;
    Some([f64::midpoint(norms[(norms.len() - 1) / 2], norms[norms.len() / 2]), largest])
}

/// How large the modules' updates are: `14 modules, ‖ΔW‖/‖W‖ median 0.021, largest 0.055, 1 exactly zero`.
pub(super) fn modules(liveness: &Liveness) -> Option<String> {
    let [median, largest] = norms(&liveness.modules)?;
    let modules = number::plural(liveness.modules.len() as u64, "module");
    let zero = match liveness.zero_modules {
        0 => String::new(),
        n => format!(", {n} exactly zero"),
    };
    Some(format!("{modules}, ‖ΔW‖/‖W‖ median {}, largest {}{zero}", number::significant(median), number::significant(largest)))
}

fn past(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
        Verdict::Warn => "with a warning",
        Verdict::Skip => "skipped",
        Verdict::Error => "in error",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// What was read of a source.
pub(super) fn source(source: &SourceRecord) -> Vec<String> {
    let files = format!("{}, {}", number::plural(source.files as u64, "file"), number::bytes(source.bytes));
    let items = format!("{} of {}", number::plural(source.items, "item"), number::plural(source.rows, "row"));
    let bad = (source.bad > 0).then(|| format!("{} that are none", number::plural(source.bad, "row")));
    let listing = number::short(&source.listing).to_owned();
    [files, items].into_iter().chain(bad).chain([listing]).collect()
}
