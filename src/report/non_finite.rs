//! The figures of a record that JSON has no number for. It writes `null` in their place, so they are named beside it.

use std::collections::BTreeMap;

use crate::record::{
    BesideNoise, Calibration, Criterion, Estimate, Gate, Liveness, ModuleLiveness, NoiseFloor, NullOutcome, ProbeRecord,
    RankedNulls, RunRecord, Stats,
};

/// Path to value, as in `{"values[3]": "NaN"}`.
pub(super) type NonFinite = BTreeMap<String, String>;

pub(super) fn of_run(run: &RunRecord) -> NonFinite {
    let mut found = of_summary(run);
    let probes = run.probes.iter().enumerate();
    found.extend(
        probes.flat_map(|(i, probe)| of_probe(probe).into_iter().map(move |(path, x)| (format!("probes[{i}].{path}"), x))),
    );
    found
}

/// All but the probes.
pub(super) fn of_summary(run: &RunRecord) -> NonFinite {
    // Every struct is taken apart in full, so that a new field cannot be forgotten here.
    let RunRecord {
        liveness,
        gate,
        diagnosis: _,
        stats,
        schema_version: _,
        sway_version: _,
        suite: _,
        suite_digest: _,
        base: _,
        adapter: _,
        sources: _,
        shard: _,
        probes: _,
        interrupted: _,
    } = run;
    let mut found = Found::default();
    let of_liveness = liveness.iter().flat_map(of_liveness);
    found.0.extend(of_liveness.map(|(path, x)| (format!("liveness.{path}"), x)));
    let Gate { score, min_score, fdr, verdict: _, band: _, message: _ } = gate;
    found.look_if("gate.score", *score);
    found.look_if("gate.min_score", Some(*min_score));
    found.look_if("gate.fdr", Some(*fdr));
    let Stats {
        hit_rate,
        scoring_wall_s,
        avg_batch_size,
        product_share,
        attention_share,
        rest_share,
        load_s,
        cache_hits: _,
        cache_misses: _,
        forward_passes: _,
        batches_sent: _,
        batched_prompts: _,
        max_batch_size: _,
        tokens_requested: _,
        tokens_computed: _,
        product_flops: _,
        peak_rss_bytes: _,
        // Of times and counts that this machine measured.
        sources: _,
    } = stats;
    found.look_if("stats.hit_rate", Some(*hit_rate));
    found.look_if("stats.scoring_wall_s", Some(*scoring_wall_s));
    found.look_if("stats.avg_batch_size", Some(*avg_batch_size));
    found.look_if("stats.product_share", Some(*product_share));
    found.look_if("stats.attention_share", Some(*attention_share));
    found.look_if("stats.rest_share", Some(*rest_share));
    found.look_if("stats.load_s", Some(*load_s));
    found.0
}

pub(super) fn of_liveness(liveness: &Liveness) -> NonFinite {
    let Liveness {
        modules,
        largest_move,
        noise_floor,
        floors,
        live: _,
        inconclusive: _,
        message: _,
        tensors: _,
        zero_modules: _,
    } = liveness;
    let mut found = Found::default();
    for (i, ModuleLiveness { relative_norm, module: _ }) in modules.iter().enumerate() {
        found.look(|| format!("modules[{i}].relative_norm"), *relative_norm);
    }
    found.look_if("largest_move", *largest_move);
    found.look_if("noise_floor", *noise_floor);
    if let Some(NoiseFloor { js, kl, rms, max_change }) = floors {
        for (name, x) in [("js", js), ("kl", kl), ("rms", rms), ("max_change", max_change)] {
            found.look(|| format!("floors.{name}"), *x);
        }
    }
    found.0
}

pub(super) fn of_probe(probe: &ProbeRecord) -> NonFinite {
    let ProbeRecord {
        score,
        weight,
        estimate,
        criteria,
        p_paired,
        p_paired_error,
        calibration,
        noise,
        q,
        values,
        name: _,
        kind: _,
        category: _,
        verdict: _,
        n: _,
        metric: _,
        message: _,
        evidence: _,
        item_errors: _,
        values_of: _,
    } = probe;
    let mut found = Found::default();
    found.look_if("score", *score);
    found.look_if("weight", Some(*weight));
    if let Some(estimate) = estimate {
        found.look_into_estimate("estimate", estimate);
    }
    for (i, Criterion { estimate, threshold, name: _, good_side: _, verdict: _, items_to_settle: _ }) in
        criteria.iter().enumerate()
    {
        found.look_into_estimate(&format!("criteria[{i}].estimate"), estimate);
        found.look(|| format!("criteria[{i}].threshold"), *threshold);
    }
    found.look_if("p_paired", *p_paired);
    found.look_if("p_paired_error", *p_paired_error);
    found.look_if("q", *q);
    if let Some(BesideNoise { value, floor, measure: _ }) = noise {
        found.look_if("noise.value", Some(*value));
        found.look_if("noise.floor", Some(*floor));
    }
    if let Some(Calibration { raw, draws, outcome, by_rank, metric: _, drawn: _, items: _ }) = calibration {
        found.look_if("null.raw", Some(*raw));
        found.look_into_nulls("null", draws, outcome);
        for (i, RankedNulls { rank_multiplier, draws, outcome }) in by_rank.iter().enumerate() {
            found.look(|| format!("null.by_rank[{i}].rank_multiplier"), *rank_multiplier);
            found.look_into_nulls(&format!("null.by_rank[{i}]"), draws, outcome);
        }
    }
    values.iter().enumerate().for_each(|(i, x)| found.look(|| format!("values[{i}]"), *x));
    found.0
}

#[derive(Default)]
struct Found(NonFinite);

impl Found {
    fn look(&mut self, path: impl FnOnce() -> String, x: f64) {
        if !x.is_finite() {
            self.0.insert(path(), x.to_string());
        }
    }

    fn look_if(&mut self, path: &str, x: Option<f64>) {
        if let Some(x) = x {
            self.look(|| path.to_owned(), x);
        }
    }

    fn look_into_nulls(&mut self, path: &str, draws: &[f64], outcome: &NullOutcome) {
        draws.iter().enumerate().for_each(|(i, x)| self.look(|| format!("{path}.draws[{i}]"), *x));
        if let NullOutcome::Compared { mean, sd, z, p } = outcome {
            for (name, x) in [("mean", mean), ("sd", sd), ("z", z), ("p", p)] {
                self.look(|| format!("{path}.{name}"), *x);
            }
        }
    }

    fn look_into_estimate(&mut self, path: &str, Estimate { value, interval, n: _, clusters: _ }: &Estimate) {
        self.look(|| format!("{path}.value"), *value);
        for (i, x) in interval.iter().flatten().enumerate() {
            self.look(|| format!("{path}.interval[{i}]"), *x);
        }
    }
}
