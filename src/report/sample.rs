//! Hand-made records that the reports are tried on.

use serde_json::{Map, Value, json};

use crate::record::{
    AdapterInfo, BaseInfo, BesideNoise, Calibration, Category, Criterion, Diagnosis, Estimate, Gate, Liveness, Measure,
    ModuleLiveness, NoiseFloor, NullOutcome, ProbeRecord, RankedNulls, RunRecord, SCHEMA_VERSION, SourceRecord, Stats, Verdict,
};

/// Every sample by name.
pub fn all() -> Vec<(&'static str, RunRecord)> {
    vec![
        ("healthy", healthy()),
        ("failing", failing()),
        ("dead", dead()),
        ("under_the_floor", under_the_floor()),
        ("interrupted", interrupted()),
        ("inconclusive", inconclusive()),
        ("hostile", hostile()),
    ]
}

pub fn healthy() -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        sway_version: "0.1.0".to_owned(),
        suite: "probes/demo.toml".to_owned(),
        suite_digest: "5e1f0c7a9b32d44f8a61".repeat(3),
        base: BaseInfo {
            source: "probes/demo/base".to_owned(),
            commit: None,
            architecture: "llama".to_owned(),
            parameters: 724_128,
            dtype: "f32".to_owned(),
            device: "cpu".to_owned(),
            digest: "3f9a2c1b04de77aa12c0".repeat(3),
            tokenizer_digest: "aa01bc3d5e6f70819223".repeat(3),
            chat_template: None,
        },
        adapter: Some(AdapterInfo {
            source: "probes/demo/healthy".to_owned(),
            commit: None,
            peft_type: "lora".to_owned(),
            parameters: 24_576,
            digest: "91ab03c4d5e6f7081920".repeat(3),
        }),
        sources: Vec::new(),
        shard: None,
        liveness: Some(Liveness {
            live: true,
            inconclusive: false,
            message: "the logits move by up to 3.21 nats, where recomputing the base moves them by 1.9e-6".to_owned(),
            tensors: 56,
            modules: modules(|layer, i| 0.018 + 0.006 * f64::from(layer) + 0.004 * f64::from((layer * 5 + i * 3) % 7)),
            zero_modules: 0,
            largest_move: Some(3.21),
            noise_floor: Some(1.9e-6),
            floors: Some(NoiseFloor { js: 4.5e-13, kl: 1.8e-12, rms: 1.1e-6, max_change: 1.9e-6 }),
        }),
        probes: vec![moved(), facts(), preferences(), document(), dose(), held()],
        gate: Gate {
            verdict: Verdict::Pass,
            score: Some(0.81),
            min_score: 0.6,
            fdr: 0.05,
            band: Some("healthy".to_owned()),
            message: "every probe holds, and the score is at least 0.6".to_owned(),
        },
        diagnosis: vec![Diagnosis {
            cause: "nothing_wrong".to_owned(),
            finding: "The adapter does what this suite asks: it kept what the base knew.".to_owned(),
            advice: String::new(),
            probes: vec!["held".to_owned()],
        }],
        interrupted: false,
        stats: Stats {
            cache_hits: 310,
            cache_misses: 894,
            hit_rate: 310.0 / 1204.0,
            forward_passes: 894,
            scoring_wall_s: 3.21,
            batches_sent: 41,
            batched_prompts: 894,
            max_batch_size: 64,
            avg_batch_size: 894.0 / 41.0,
            tokens_requested: 52_310,
            tokens_computed: 18_204,
            product_share: 0.71,
            attention_share: 0.12,
            rest_share: 0.17,
            product_flops: 26_400_000_000,
            load_s: 0.41,
            peak_rss_bytes: 312 * 1_048_576,
            sources: None,
        },
    }
}

/// `facts` has learnt the phrasing, `held` cannot tell.
pub fn failing() -> RunRecord {
    let mut run = healthy();
    run.adapter.as_mut().unwrap().source = "probes/demo/memorised".into();
    let facts = &mut run.probes[1];
    facts.verdict = Verdict::Fail;
    facts.score = Some(0.22);
    facts.message =
        "the lift is 0.74 on the prompts as trained and 0.16 on their paraphrases: the adapter learnt a phrasing, not the facts"
            .into();
    facts.estimate = Some(Estimate { value: 0.22, interval: Some([0.15, 0.31]), n: 24, clusters: None });
    facts.criteria[0].estimate = Estimate { value: 0.22, interval: Some([0.15, 0.31]), n: 24, clusters: None };
    facts.criteria[0].verdict = Verdict::Fail;
    facts.criteria[1].estimate = Estimate { value: 0.74, interval: Some([0.66, 0.81]), n: 24, clusters: None };
    let held = &mut run.probes[5];
    held.verdict = Verdict::Inconclusive;
    held.score = None;
    held.message = "the share of items that lost more than 1 nat per token may lie on either side of 0.15".into();
    held.estimate = Some(Estimate { value: 0.125, interval: Some([0.05, 0.25]), n: 40, clusters: None });
    held.n = 40;
    held.values.truncate(40);
    held.criteria[0] = Criterion {
        estimate: Estimate { value: 0.125, interval: Some([0.05, 0.25]), n: 40, clusters: None },
        verdict: Verdict::Inconclusive,
        items_to_settle: Some(210),
        ..held.criteria[0].clone()
    };
    run.gate = Gate {
        verdict: Verdict::Fail,
        score: Some(0.58),
        band: Some("partial".to_owned()),
        message: "`facts` failed, and the score 0.58 is below 0.6".to_owned(),
        ..run.gate
    };
    run
}

pub fn dead() -> RunRecord {
    let mut run = healthy();
    run.adapter.as_mut().unwrap().source = "probes/demo/noop".into();
    run.probes.clear();
    run.liveness = Some(Liveness {
        live: false,
        inconclusive: false,
        message: "every one of the 28 modules has an update of exactly zero: lora_B was never trained, or was reset when the adapter was saved".to_owned(),
        tensors: 56,
        modules: modules(|_, _| 0.0),
        zero_modules: 28,
        largest_move: Some(0.0),
        noise_floor: Some(1.9e-6),
        floors: Some(NoiseFloor { js: 4.5e-13, kl: 1.8e-12, rms: 1.1e-6, max_change: 1.9e-6 }),
    });
    run.gate =
        Gate { verdict: Verdict::Fail, score: None, band: None, message: "the adapter does nothing".to_owned(), ..run.gate };
    run.stats = Stats { load_s: 0.4, peak_rss_bytes: 298 * 1_048_576, ..Stats::default() };
    run
}

/// What it does, if anything, is less than bf16's error.
pub fn under_the_floor() -> RunRecord {
    let mut run = healthy();
    run.base.dtype = "bf16".to_owned();
    run.probes.clear();
    let message = "it moves no logit by more than 1.2e-2, and the noise floor is 3.1e-2 (bf16 against f32)";
    run.liveness = Some(Liveness {
        live: false,
        inconclusive: true,
        message: message.to_owned(),
        largest_move: Some(0.012),
        noise_floor: Some(0.031),
        floors: Some(NoiseFloor { js: 1.2e-5, kl: 4.8e-5, rms: 0.011, max_change: 0.031 }),
        ..run.liveness.unwrap()
    });
    run.gate = Gate { verdict: Verdict::Inconclusive, score: None, band: None, message: message.to_owned(), ..run.gate };
    run
}

pub fn interrupted() -> RunRecord {
    let mut run = healthy();
    run.probes.truncate(2);
    run.interrupted = true;
    run.gate.verdict = Verdict::Inconclusive;
    run.gate.message = "4 of 6 probes did not finish".into();
    run
}

/// A few items, a null that cannot calibrate, a probe in error, one skipped.
pub fn inconclusive() -> RunRecord {
    let mut run = healthy();
    let moved = &mut run.probes[0];
    moved.verdict = Verdict::Inconclusive;
    moved.score = None;
    moved.message = "the move is above the threshold, but nothing says whether it is larger than a random adapter's".into();
    moved.calibration.as_mut().unwrap().outcome =
        NullOutcome::Degenerate { degenerate: "2 of 8 draws gave a number, and it takes 3".to_owned() };
    moved.calibration.as_mut().unwrap().draws.truncate(2);
    moved.q = None;
    let document = &mut run.probes[3];
    document.verdict = Verdict::Error;
    document.score = None;
    document.estimate = None;
    document.criteria.clear();
    document.values.clear();
    document.n = 0;
    document.message = "no section could be measured".into();
    document.item_errors =
        (1..=6).map(|i| format!("item {i}: the prompt has 4,096 tokens and the model's context is 2,048")).collect();
    let dose = &mut run.probes[4];
    dose.verdict = Verdict::Skip;
    dose.score = None;
    dose.estimate = None;
    dose.criteria.clear();
    dose.evidence = Map::new();
    dose.values.clear();
    dose.message = "not enabled".into();
    run.gate.verdict = Verdict::Inconclusive;
    run.gate.message = "nothing failed, but `moved` is inconclusive and `document` could not be measured".into();
    run
}

/// Names that try to be markup, or to be wider than they look, or do not end.
pub fn hostile() -> RunRecord {
    let mut run = failing();
    let names = [
        "<script>alert('x')</script>",
        "a|b `code` **bold** @team #1",
        "適応器が動いた程度を測る長い名前のプローブ",
        "👩‍👩‍👧‍👦 family & friends",
        "a_name_that_goes_on_and_on_until_nobody_can_remember_how_it_started_or_why",
        "esc\x1b[31mred\u{0}\nnewline\u{202E}",
    ];
    for (probe, name) in run.probes.iter_mut().zip(names) {
        probe.name = name.into();
        probe.message = format!("{name}: ]]> <!-- & \" ' {}", probe.message);
    }
    run.probes[2].message =
        "学習した事実についての質問に対して、アダプターは言い換えられた文でも同じ答えを返しました。".repeat(3);
    run.probes[0].evidence.insert("<script>".to_owned(), json!("</td><script>alert(1)</script>"));
    run.base.source = "/home/someone/with/a/very/long/path/that/does/not/fit/into/any/line/of/eighty/columns/base".into();
    run.adapter.as_mut().unwrap().source = "<script>src</script>".into();
    run.gate.message = format!("`{}` failed: </script><script>alert(2)</script>", names[1]);
    run.liveness.as_mut().unwrap().modules[0].module = "<script>.0.x".into();
    run.sources = vec![SourceRecord { name: "<script>logs|\x1b[31m".to_owned(), ..traffic() }];
    run
}

/// What was read of a source.
pub fn traffic() -> SourceRecord {
    SourceRecord {
        name: "traffic".to_owned(),
        uris: vec!["s3://bucket/logs/2026-*/*.jsonl.zst".to_owned()],
        files: 12,
        bytes: 3_400_000_000,
        listing: "77aa12c03f9a2c1b04de".repeat(3),
        rows: 100_203,
        items: 100_000,
        bad: 203,
        bad_rows: vec!["s3://bucket/logs/2026-01/a.jsonl.zst:17: it has no field `prompt`; it has `text`".to_owned()],
    }
}

fn moved() -> ProbeRecord {
    let values: Vec<f64> = (0..40).map(|i| spread(i, 0.31, 0.17)).collect();
    ProbeRecord {
        p_paired: Some(0.0001),
        p_paired_error: Some(0.0),
        calibration: Some(Calibration {
            metric: "mean_js".into(),
            drawn: 8,
            raw: 0.316,
            draws: vec![0.041, 0.055, 0.048, 0.062, 0.037, 0.051, 0.044, 0.059],
            items: 16,
            outcome: NullOutcome::Compared { mean: 0.0496, sd: 0.0126, z: 21.3, p: 0.000_000_2 },
            by_rank: vec![RankedNulls {
                rank_multiplier: 2.0,
                draws: vec![0.079, 0.113, 0.094, 0.127, 0.072, 0.1, 0.091, 0.12],
                outcome: NullOutcome::Compared { mean: 0.0995, sd: 0.0193, z: 11.2, p: 0.000_005 },
            }],
        }),
        noise: Some(BesideNoise { measure: Measure::Js, value: 0.31, floor: 4.5e-11 }),
        q: Some(0.000_000_4),
        evidence: object(&json!({
            "divergence": "js", "max": 0.612, "p99": 0.604, "p95": 0.571, "p90": 0.52, "median": 0.302, "p10": 0.11,
            "same_top_token": 0.45, "top_probability_rms": 0.223,
            "furthest": [
                {"prompt": "The river Ansel runs through", "js": 0.612, "base": " the", "ft": " Morrow"},
                {"prompt": "In the morning the baker", "js": 0.588, "base": " was", "ft": " opens"}
            ]
        })),
        ..probe("moved", "delta_kl", Category::Adherence, 0.93, "mean_js", (0.31, [0.26, 0.36], 40), (0.02, "above"), values)
            .with("the next-token distribution moves by a mean Jensen-Shannon divergence of 0.31 nats over 40 prompts, 21 standard deviations beyond random adapters of the same size")
    }
}

fn facts() -> ProbeRecord {
    let mut facts = ProbeRecord {
        p_paired: Some(0.0004),
        p_paired_error: Some(0.000_05),
        calibration: Some(Calibration {
            metric: "mean_js".into(),
            drawn: 8,
            raw: 0.79,
            draws: vec![0.12, -0.21, 0.05, 0.31, -0.09, 0.17, 0.02, -0.14],
            items: 16,
            outcome: NullOutcome::Compared { mean: 0.029, sd: 0.176, z: 4.3, p: 0.0023 },
            by_rank: Vec::new(),
        }),
        q: Some(0.0023),
        evidence: object(&json!({"verbatim_lift": 0.74, "paraphrase_lift": 0.61, "intent": "generalize"})),
        ..probe(
            "facts",
            "paraphrase_invariance",
            Category::Attribution,
            0.84,
            "ratio",
            (0.82, [0.71, 0.93], 24),
            (0.5, "above"),
            (0..24).map(|i| spread(i, 0.8, 0.3)).collect(),
        )
        .with("the lift on paraphrases is 0.82 of the lift on the prompts as trained")
    };
    facts.criteria.push(Criterion {
        name: "verbatim_lift".to_owned(),
        estimate: Estimate { value: 0.74, interval: Some([0.66, 0.81]), n: 24, clusters: None },
        threshold: 0.2,
        good_side: "above".to_owned(),
        verdict: Verdict::Pass,
        items_to_settle: None,
    });
    facts
}

fn preferences() -> ProbeRecord {
    probe(
        "preferences",
        "preference_flip",
        Category::Attribution,
        0.77,
        "flip_rate",
        (0.89, [0.74, 0.97], 28),
        (0.7, "above"),
        (0..28).map(|i| f64::from(i % 9 != 4)).collect(),
    )
    .with("of the 28 triples that the base gets wrong, the adapter gets 25 right, and it broke none")
}

fn document() -> ProbeRecord {
    probe(
        "document",
        "leakage",
        Category::Calibration,
        0.88,
        "excess_recall",
        (0.04, [-0.01, 0.09], 18),
        (0.5, "below"),
        (0..18).map(|i| spread(i, 0.04, 0.1)).collect(),
    )
    .with("the adapter recites no more of the document than the base does")
}

fn dose() -> ProbeRecord {
    ProbeRecord {
        evidence: object(&json!({
            "r_squared": 0.972, "saturation": 1.11,
            "curve": [
                {"lambda": 0.0, "rms": 0.0, "js": 0.0}, {"lambda": 0.25, "rms": 0.31, "js": 0.041}, {"lambda": 0.5, "rms": 0.68, "js": 0.142},
                {"lambda": 0.75, "rms": 1.06, "js": 0.238}, {"lambda": 1.0, "rms": 1.44, "js": 0.31}, {"lambda": 1.25, "rms": 1.6, "js": 0.334}
            ]
        })),
        ..probe(
            "dose",
            "adapter_ablation",
            Category::Ablation,
            0.71,
            "r_squared",
            (0.972, [0.961, 0.98], 12),
            (0.9, "above"),
            vec![],
        )
        .with("the change grows with the adapter's scale, nearly in a line, up to 1.25 times")
    }
}

fn held() -> ProbeRecord {
    probe(
        "held",
        "calibration_drift",
        Category::Calibration,
        0.90,
        "lost_share",
        (0.01, [0.0, 0.03], 200),
        (0.15, "below"),
        (0..200).map(|i| spread(i, -0.05, 0.6)).collect(),
    )
    .with("2 of 200 items lost more than 1 nat per token")
}

trait With {
    fn with(self, message: &str) -> Self;
}

impl With for ProbeRecord {
    fn with(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
    }
}

#[expect(clippy::too_many_arguments, reason = "a sample, read once")]
fn probe(
    name: &str,
    kind: &str,
    category: Category,
    score: f64,
    metric: &str,
    (value, interval, n): (f64, [f64; 2], usize),
    (threshold, good_side): (f64, &'static str),
    values: Vec<f64>,
) -> ProbeRecord {
    let estimate = Estimate { value, interval: Some(interval), n, clusters: None };
    let criterion = Criterion {
        name: metric.to_owned(),
        estimate: estimate.clone(),
        threshold,
        good_side: good_side.to_owned(),
        verdict: Verdict::Pass,
        items_to_settle: None,
    };
    ProbeRecord {
        name: name.to_owned(),
        kind: kind.to_owned(),
        category,
        verdict: Verdict::Pass,
        score: Some(score),
        weight: 1.0,
        n,
        metric: metric.to_owned(),
        estimate: Some(estimate),
        criteria: vec![criterion],
        p_paired: None,
        p_paired_error: None,
        calibration: None,
        noise: None,
        q: None,
        message: String::new(),
        evidence: Map::new(),
        values_of: "divergence".into(),
        values,
        item_errors: vec![],
    }
}

/// A value scattered about `mean`, the same for the same `i`.
fn spread(i: u32, mean: f64, width: f64) -> f64 {
    let uniform = |salt: u32| f64::from((i * 7919 + salt * 104_729) % 1000) / 1000.0;
    mean + width * (uniform(1) + uniform(2) * 0.6 + uniform(3) * 0.4 - 1.0)
}

fn modules(norm: impl Fn(u32, u32) -> f64) -> Vec<ModuleLiveness> {
    let names = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    (0..4)
        .flat_map(|layer| (0..).zip(names).map(move |(i, name)| (layer, i, name)))
        .map(|(layer, i, name)| ModuleLiveness { module: format!("model.layers.{layer}.{name}"), relative_norm: norm(layer, i) })
        .collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
