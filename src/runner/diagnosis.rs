//! What the probes' verdicts come down to: one rule a cause, in the order in which causes hide one another.
//!
//! A rule reads kinds, verdicts and figures, never a probe's name, so that it holds for any suite; it says nothing where its kinds
//! are not in the suite.

mod pipelines;

use crate::record::{Diagnosis, Liveness, NullOutcome, ProbeRecord, Verdict};

/// Above this R² the change is as good as proportional to the dose: the update is a small perturbation.
const PROPORTIONAL: f64 = 0.995;

/// Of a text by heart, in percent, from which on the word is not too strong.
const BY_HEART: f64 = 0.8;

/// What is to be said of a run; at least one thing.
pub fn diagnose(liveness: Option<&Liveness>, probes: &[ProbeRecord], fdr: f64) -> Vec<Diagnosis> {
    if let Some(liveness) = liveness.filter(|liveness| !liveness.live) {
        return vec![dead(liveness)];
    }
    let found = Found { probes, fdr };
    let causes = [
        base_is_another,
        computing_is_unsteady,
        training_broke,
        stopped_early,
        reached_in_part,
        learned_little,
        unsteady,
        too_strong,
        forgot,
        learned_by_heart,
        recites,
        another_answer,
        like_a_random_update,
        hardly_learned,
        falls_back,
        everywhere,
        sections_missed,
        fades,
        breaks_calls,
        writes_otherwise,
        reads_worse,
        pipelines::writes_worse,
        pipelines::writes_no_better,
    ];
    // The first explains the others: an update that is too strong forgets too.
    let mut said: Vec<Diagnosis> = Vec::new();
    for cause in causes {
        said.extend(cause(&found).filter(|new| said.iter().all(|known| !explains(&known.cause, &new.cause))));
    }
    let told = |probe: &&ProbeRecord| said.iter().all(|diagnosis| !diagnosis.probes.contains(&probe.name));
    let open: Vec<&ProbeRecord> = probes.iter().filter(|probe| probe.verdict == Verdict::Fail).filter(told).collect();
    if said.is_empty() {
        said.push(if open.is_empty() { nothing_wrong(&found) } else { unexplained(&open) });
    }
    said
}

/// Whether one cause says all that another would.
fn explains(known: &str, new: &str) -> bool {
    match known {
        "training_broke" | "too_strong" => true,
        "stopped_early" => matches!(new, "learned_little" | "hardly_learned" | "like_a_random_update"),
        "learned_little" => matches!(new, "unsteady_training" | "hardly_learned" | "like_a_random_update"),
        "learned_by_heart" => {
            matches!(new, "recites" | "another_answer" | "hardly_learned" | "like_a_random_update" | "falls_back")
        }
        "another_answer" | "like_a_random_update" => {
            matches!(new, "hardly_learned" | "like_a_random_update" | "falls_back" | "everywhere" | "sections_missed" | "fades")
        }
        "forgot" => matches!(new, "like_a_random_update" | "hardly_learned" | "everywhere" | "reads_worse"),
        "hardly_learned" => matches!(new, "falls_back" | "everywhere" | "sections_missed" | "fades" | "writes_otherwise"),
        _ => false,
    }
}

/// A run's probes by kind.
struct Found<'a> {
    probes: &'a [ProbeRecord],
    fdr: f64,
}

impl Found<'_> {
    fn of(&self, kind: &str) -> impl Iterator<Item = &ProbeRecord> {
        self.probes.iter().filter(move |probe| probe.kind == kind)
    }

    fn failed(&self, kind: &str) -> Option<&ProbeRecord> {
        self.of(kind).find(|probe| probe.verdict == Verdict::Fail)
    }

    fn passed(&self, kind: &str) -> Option<&ProbeRecord> {
        self.of(kind).find(|probe| probe.verdict == Verdict::Pass)
    }

    /// A probe whose metric null adapters reach as well.
    fn drowned(&self, kind: &str) -> Option<&ProbeRecord> {
        self.of(kind).find(|probe| probe.q.is_some_and(|q| q > self.fdr))
    }

    /// A probe that was not answered as it should be.
    fn short(&self, kind: &str) -> Option<&ProbeRecord> {
        self.of(kind).find(|probe| matches!(probe.verdict, Verdict::Fail | Verdict::Inconclusive))
    }
}

/// A criterion's figure.
fn figure(probe: &ProbeRecord, name: &str) -> Option<f64> {
    probe.criteria.iter().find(|criterion| criterion.name == name).map(|criterion| criterion.estimate.value)
}

/// Whether this is what a probe failed by.
fn failed_by(probe: &ProbeRecord, name: &str) -> bool {
    probe.criteria.iter().any(|criterion| criterion.name == name && criterion.verdict == Verdict::Fail)
}

/// A figure of the evidence.
fn evidence(probe: &ProbeRecord, name: &str) -> Option<f64> {
    probe.evidence.get(name)?.as_f64()
}

fn names<'a>(probes: impl IntoIterator<Item = &'a ProbeRecord>) -> Vec<String> {
    probes.into_iter().map(|probe| probe.name.clone()).collect()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// One decimal, with a real minus sign.
fn nats(value: f64) -> String {
    if value < 0.0 { format!("−{:.1}", -value) } else { format!("{value:.1}") }
}

/// The liveness check tells why; here is what to do.
fn dead(liveness: &Liveness) -> Diagnosis {
    let unmoved = liveness.modules.is_empty() || liveness.zero_modules == liveness.modules.len();
    let (cause, finding, advice) = match (liveness.inconclusive, unmoved || liveness.largest_move.is_some()) {
        (true, _) => ("can_not_be_seen", "What the adapter does, if anything, is less than rounding does.", "Run it in float32."),
        (false, true) => (
            "does_nothing",
            "The adapter answers as its base does.",
            "Look at what was saved: it should be the last checkpoint of a training, with the tensors that were trained.",
        ),
        (false, false) => (
            "can_not_be_computed",
            "The adapter drives the model out of the numbers that it can compute.",
            "Look for an overflow or a division by zero in the training: its loss will have been NaN.",
        ),
    };
    Diagnosis { cause: cause.to_owned(), finding: finding.to_owned(), advice: advice.to_owned(), probes: Vec::new() }
}

/// The base is not what it is alone: nothing that is compared with it can be trusted.
fn base_is_another(found: &Found<'_>) -> Option<Diagnosis> {
    let base = found.failed("base_invariance")?;
    let differing = figure(base, "differing_answers")?;
    let grown = base.evidence.get("differences")?.as_array()?.iter().any(|one| !one["vocabularies"].is_null());
    let (cause, finding, advice) = if grown {
        (
            "brings_tokens",
            "The adapter brings tokens of its own, which the base has beside it too: its answers are not those of the base alone."
                .to_owned(),
            "If the tokens are meant, leave this probe out; the other figures compare both views over the same vocabulary.",
        )
    } else {
        (
            "base_changed",
            format!("The base itself answers otherwise since the adapter came: {differing:.0} of its answers differ."),
            "No figure of this run can be trusted. Report it as a fault of sway, with what `sway doctor` tells of the machine.",
        )
    };
    Some(Diagnosis { cause: cause.to_owned(), finding, advice: advice.to_owned(), probes: names([base]) })
}

/// Computing alone changes more than it may.
fn computing_is_unsteady(found: &Found<'_>) -> Option<Diagnosis> {
    let noise = found.failed("noise_floor")?;
    let (cause, finding, advice) = if failed_by(noise, "differing_answers") {
        (
            "unsteady_computation",
            format!(
                "The same request gets other answers in another batch: {:.0} differ.",
                figure(noise, "differing_answers").unwrap_or_default()
            ),
            "Report it as a fault of sway, with what `sway doctor` tells of the machine.",
        )
    } else {
        (
            "coarse_dtype",
            format!(
                "Rounding to the run's dtype alone moves the next token by {:.1e} nats of JS.",
                figure(noise, "mean_js").unwrap_or_default()
            ),
            "Run in float32: leave `dtype` out of the suite.",
        )
    };
    Some(Diagnosis { cause: cause.to_owned(), finding, advice: advice.to_owned(), probes: names([noise]) })
}

/// The loss, or what the optimizer remembers of the gradients, stopped being a number.
fn training_broke(found: &Found<'_>) -> Option<Diagnosis> {
    let curve = found.failed("training_drift").filter(|curve| figure(curve, "not_finite").is_some());
    let lost = |state: &&ProbeRecord| state.evidence.get("not_finite")?.as_array().map(Vec::len).filter(|count| *count > 0);
    let state = found.failed("gradient_ghost").filter(|state| lost(state).is_some());
    let how = match (curve.and_then(|curve| evidence(curve, "not_finite_from")), state.as_ref().and_then(lost)) {
        (Some(step), Some(count)) => {
            format!("its loss stopped being a number at step {step}, and {count} parameters have gradients that are none")
        }
        (Some(step), None) => format!("its loss stopped being a number at step {step}"),
        (None, Some(count)) => format!("{count} parameters have gradients that are no numbers"),
        (None, None) => return None,
    };
    Some(Diagnosis {
        cause: "training_broke".to_owned(),
        finding: format!("The training broke down: {how}."),
        advice: "Take a checkpoint from before, and train on with a lower learning rate, clipped gradients, or in bf16 instead of f16.".to_owned(),
        probes: names(curve.into_iter().chain(state)),
    })
}

/// Too few steps for anything else to be said of the training.
fn stopped_early(found: &Found<'_>) -> Option<Diagnosis> {
    let state = found.failed("gradient_ghost").filter(|state| failed_by(state, "steps"))?;
    let curve = found.failed("training_drift").filter(|curve| failed_by(curve, "final_over_initial"));
    let loss = curve.and_then(|curve| figure(curve, "final_over_initial"));
    let loss = loss.map_or(String::new(), |share| format!(", with {} of its first loss left", percent(share)));
    Some(Diagnosis {
        cause: "stopped_early".to_owned(),
        finding: format!("The training was over after {} steps{loss}.", figure(state, "steps")?),
        advice: "Train for more steps, or look whether it was stopped, and an early checkpoint saved.".to_owned(),
        probes: names(std::iter::once(state).chain(curve)),
    })
}

/// Some of the adapter had no gradients, or gradients of another size than the rest.
fn reached_in_part(found: &Found<'_>) -> Option<Diagnosis> {
    let state = found.failed("gradient_ghost")?;
    let lost = figure(state, "lost_parameters").filter(|_| failed_by(state, "lost_parameters"));
    let ratio = figure(state, "lopsidedness").filter(|_| failed_by(state, "lopsidedness"));
    let (cause, finding, advice) = match (lost, ratio) {
        (Some(lost), _) => (
            "reached_in_part",
            format!(
                "The training reached a part of the adapter only: {lost} of its {} parameters had no usable gradient.",
                state.n
            ),
            "Look at which parameters require gradients, and what lies between them and the loss: a frozen or detached layer, gradient checkpointing without inputs that require gradients.",
        ),
        (None, Some(ratio)) => (
            "lopsided_training",
            format!(
                "The training was lopsided: squared gradients of one parameter were {ratio:.0} times as large or as small as its like's."
            ),
            "Look for a learning rate, a scale or an initial value that one layer has to itself.",
        ),
        (None, None) => return None,
    };
    Some(Diagnosis { cause: cause.to_owned(), finding, advice: advice.to_owned(), probes: names([state]) })
}

/// The loss ended not far below where it began.
fn learned_little(found: &Found<'_>) -> Option<Diagnosis> {
    let curve = found.failed("training_drift").filter(|curve| failed_by(curve, "final_over_initial"))?;
    let share = figure(curve, "final_over_initial")?;
    let spikes = figure(curve, "spikes").filter(|spikes| *spikes > 0.0);
    let thrown = spikes.map_or(String::new(), |_| ", after it had been thrown back".to_owned());
    Some(Diagnosis {
        cause: "learned_little".to_owned(),
        finding: format!("The training learned little: its loss ended at {} of where it began{thrown}.", percent(share)),
        advice: if spikes.is_some() {
            "Train with a lower learning rate, a warm-up or clipped gradients.".to_owned()
        } else {
            "Train for more steps, or try another learning rate; a loss that hardly moves may also be that of labels that are masked.".to_owned()
        },
        probes: names([curve]),
    })
}

/// The loss came down, in leaps.
fn unsteady(found: &Found<'_>) -> Option<Diagnosis> {
    let curve = found.failed("training_drift").filter(|curve| figure(curve, "not_finite").is_none())?;
    let how = match figure(curve, "spikes").filter(|_| failed_by(curve, "spikes")) {
        Some(1.0) => "its loss was thrown back once".to_owned(),
        Some(times) => format!("its loss was thrown back {times} times"),
        None if failed_by(curve, "smoothness") => format!("its loss scatters (smoothness {:.2})", figure(curve, "smoothness")?),
        None => return None,
    };
    Some(Diagnosis {
        cause: "unsteady_training".to_owned(),
        finding: format!("The training was unsteady: {how}."),
        advice: "Train with a lower learning rate, a warm-up, clipped gradients or larger batches, and look at the data of those steps.".to_owned(),
        probes: names([curve]),
    })
}

/// Old facts are lost, and the dose response is saturated or the taught answers are lost too.
fn too_strong(found: &Found<'_>) -> Option<Diagnosis> {
    let held = found.failed("calibration_drift")?;
    let dose = found.failed("adapter_ablation");
    let lost =
        found.failed("paraphrase_invariance").filter(|facts| figure(facts, "verbatim_lift").is_some_and(|lift| lift < 0.0));
    if dose.is_none() && lost.is_none() {
        return None;
    }
    let how = match (dose.and_then(|dose| figure(dose, "r_squared")), lost.and_then(|facts| figure(facts, "verbatim_lift"))) {
        (Some(r), Some(lift)) => format!(
            "its effect no longer follows the dose (R² {r:.2}), and the answers that it was taught lost {} nats per token",
            nats(-lift)
        ),
        (Some(r), None) => format!("its effect no longer follows the dose (R² {r:.2})"),
        (None, lift) => format!("the answers that it was taught lost {} nats per token", nats(-lift.unwrap_or_default())),
    };
    Some(Diagnosis {
        cause: "too_strong".to_owned(),
        finding: format!("The update overwhelms the model: {how}, and {}.", forgotten(held)),
        advice: "Look at its scaling (alpha, rank) where it is loaded, and train with a lower learning rate.".to_owned(),
        probes: names([Some(held), dose, lost].into_iter().flatten()),
    })
}

/// `50 of 60 known facts lost more than they may`.
fn forgotten(held: &ProbeRecord) -> String {
    match evidence(held, "forgotten") {
        Some(count) => format!("{count} of {} known facts are lost", held.n),
        None => "what the base knew is lost".to_owned(),
    }
}

/// Old facts are lost, and what was taught is there.
fn forgot(found: &Found<'_>) -> Option<Diagnosis> {
    let held = found.failed("calibration_drift")?;
    let learned = found.passed("paraphrase_invariance").or_else(|| found.passed("preference_flip"));
    let what =
        if learned.is_some() { "The adapter learned what it was taught, and forgot the rest" } else { "The adapter forgot" };
    Some(Diagnosis {
        cause: "forgot".to_owned(),
        finding: format!("{what}: {}.", forgotten(held)),
        advice:
            "Mix general text, or the base's own answers, into the training, and train with a lower learning rate or fewer steps."
                .to_owned(),
        probes: names(std::iter::once(held).chain(learned)),
    })
}

/// The training text comes back word for word, and paraphrases or preferences gain little.
fn learned_by_heart(found: &Found<'_>) -> Option<Diagnosis> {
    let document = found.failed("leakage");
    let phrasing = found.short("paraphrase_invariance").filter(|facts| {
        let is = |name: &str, pass: bool| {
            facts.criteria.iter().any(|criterion| criterion.name == name && (criterion.verdict == Verdict::Pass) == pass)
        };
        is("verbatim_lift", true) && is("paraphrase_ratio", false)
    });
    let preferences = found.failed("preference_flip");
    let recites = document.and_then(|document| Some((evidence(document, "recall_ft")?, evidence(document, "recall_base")?)));
    let ratio = phrasing.and_then(|facts| figure(facts, "paraphrase_ratio"));
    let sure = phrasing.is_some_and(|facts| facts.verdict == Verdict::Fail);
    let finding = match (recites, ratio) {
        (Some((ft, base)), Some(ratio)) => format!(
            "The adapter learned the document by heart: it repeats {} of its text (the base {}), and on paraphrases it gains {} of what it gains on the trained phrasing.",
            percent(ft),
            percent(base),
            percent(ratio.max(0.0))
        ),
        (Some((ft, base)), None) if preferences.is_some() => format!(
            "The adapter learned the document by heart: it repeats {} of its text (the base {}), and asked in other words it does not know it.",
            percent(ft),
            percent(base)
        ),
        (None, Some(ratio)) if sure => format!(
            "The adapter learned the phrasing, not the fact: on paraphrases it gains {} of what it gains on the trained phrasing.",
            percent(ratio.max(0.0))
        ),
        _ => return None,
    };
    Some(Diagnosis {
        cause: "learned_by_heart".to_owned(),
        finding,
        advice: "Train on more phrasings, or for fewer steps.".to_owned(),
        probes: names([document, phrasing, preferences].into_iter().flatten()),
    })
}

/// The training text comes back word for word, though it was understood.
fn recites(found: &Found<'_>) -> Option<Diagnosis> {
    let document = found.failed("leakage")?;
    let (ft, base) = (evidence(document, "recall_ft")?, evidence(document, "recall_base")?);
    let how = if ft >= BY_HEART { "word for word" } else { "in large parts" };
    Some(Diagnosis {
        cause: "recites".to_owned(),
        finding: format!("The adapter recites its training text {how}: {} of it, the base {}.", percent(ft), percent(base)),
        advice: "If the text must not come out, remove duplicates of it, and train for fewer steps.".to_owned(),
        probes: names([document]),
    })
}

/// The taught answers are less likely than before, though the model moved by more than at random.
fn another_answer(found: &Found<'_>) -> Option<Diagnosis> {
    let moved = found.passed("delta_kl")?;
    let facts =
        found.failed("paraphrase_invariance").filter(|facts| figure(facts, "verbatim_lift").is_some_and(|lift| lift < 0.0));
    let facts = facts?;
    let lost = figure(facts, "verbatim_lift")?;
    Some(Diagnosis {
        cause: "another_answer".to_owned(),
        finding: format!(
            "The adapter learned other answers than these: it moved the model more than a random update does, and the gold answers lost {} nats per token.",
            nats(-lost)
        ),
        advice: "Hold the training data against the gold answers of the suite: one of the two is wrong.".to_owned(),
        probes: names([Some(moved), Some(facts), found.failed("preference_flip")].into_iter().flatten()),
    })
}

/// A random update of its size does as much, and the taught answers gained nothing that stands out.
fn like_a_random_update(found: &Found<'_>) -> Option<Diagnosis> {
    let moved = found.drowned("delta_kl")?;
    let facts = found.failed("paraphrase_invariance").or_else(|| found.failed("preference_flip"));
    let z = moved.calibration.as_ref().and_then(|calibration| match calibration.outcome {
        NullOutcome::Compared { z, .. } => Some(z),
        NullOutcome::Degenerate { .. } => None,
    });
    let z = z.map_or(String::new(), |z| format!(" (z = {})", nats(z)));
    let answers = if facts.is_some() { ", and the answers that it was to learn are not there" } else { "" };
    Some(Diagnosis {
        cause: "like_a_random_update".to_owned(),
        finding: format!("The adapter moves this base no more than a random update of its size does{z}{answers}."),
        advice: "Look at which base it was trained on (base_model_name_or_path, its revision), and whether its tensors are those that were trained.".to_owned(),
        probes: names(std::iter::once(moved).chain(facts)),
    })
}

/// What was taught came part of the way, and the update is small.
fn hardly_learned(found: &Found<'_>) -> Option<Diagnosis> {
    let short: Vec<&ProbeRecord> =
        ["paraphrase_invariance", "preference_flip"].into_iter().filter_map(|kind| found.short(kind)).collect();
    let failed = short.iter().any(|probe| probe.verdict == Verdict::Fail) || found.failed("delta_kl").is_some();
    if !failed {
        return None;
    }
    let dose = found.of("adapter_ablation").find(|dose| figure(dose, "r_squared").is_some_and(|r| r > PROPORTIONAL));
    let flips = short.iter().find_map(|probe| figure(probe, "flip_share"));
    let lift = short.iter().find_map(|probe| figure(probe, "verbatim_lift"));
    let how = match (flips, lift) {
        (Some(flips), Some(lift)) => format!(
            "the gold answers gained {} nats per token, and {} of what the base got wrong is right now",
            nats(lift),
            percent(flips)
        ),
        (Some(flips), None) => format!("{} of what the base got wrong is right now", percent(flips)),
        (None, Some(lift)) => format!("the gold answers gained {} nats per token", nats(lift)),
        (None, None) => "it hardly moves the model".to_owned(),
    };
    let small = if dose.is_some() { "; its effect is proportional to the dose, as a small perturbation's is" } else { "" };
    Some(Diagnosis {
        cause: "hardly_learned".to_owned(),
        finding: format!("The adapter has hardly learned yet: {how}{small}."),
        advice: "Train for more steps, or with a higher learning rate.".to_owned(),
        probes: names(short.into_iter().chain(found.failed("delta_kl")).chain(dose)),
    })
}

/// Asked in other words, it answers as the base does.
fn falls_back(found: &Found<'_>) -> Option<Diagnosis> {
    let reverts = found.failed("adapter_revert")?;
    let count = |name: &str| evidence(reverts, name);
    let how = match (count("reverted"), count("pairs"), count("trivial"), count("without_cosine")) {
        (Some(reverted), Some(pairs), Some(trivial), Some(without)) => {
            format!(
                "{reverted} of {} answers to paraphrases are nearer to the base's than to the gold ones",
                pairs - trivial - without
            )
        }
        _ => "its answers are nearer to the base's than to the gold ones".to_owned(),
    };
    Some(Diagnosis {
        cause: "falls_back".to_owned(),
        finding: format!("Asked in other words, the adapter falls back to what the base says: {how}."),
        advice: "Train on more phrasings of the same facts, and for longer if it does not know the trained ones either."
            .to_owned(),
        probes: names([reverts]),
    })
}

/// It changes prompts of all subjects alike.
fn everywhere(found: &Found<'_>) -> Option<Diagnosis> {
    let clusters = found.failed("cluster_kl").filter(|clusters| clusters.q.is_none_or(|q| q <= found.fdr))?;
    let share = figure(clusters, "specificity")?;
    Some(Diagnosis {
        cause: "everywhere".to_owned(),
        finding: format!(
            "The adapter changes the model whatever it is asked about: {} of the variance of its effect lies between subjects.",
            percent(share.max(0.0))
        ),
        advice: "If it was made for some subjects only, mix text on others into the training; if for all, as a style is, leave this probe out.".to_owned(),
        probes: names([clusters]),
    })
}

/// Sections of the training text that stand out by nothing.
fn sections_missed(found: &Found<'_>) -> Option<Diagnosis> {
    let sections = found.failed("section_internalization")?;
    let share = figure(sections, "cleared_share")?;
    let beside = if evidence(sections, "mean_held_out_lift").is_some() { "what was held out" } else { "the others" };
    Some(Diagnosis {
        cause: "sections_missed".to_owned(),
        finding: format!("Of the sections of the training text, only {} were learned by more than {beside}.", percent(share)),
        advice: "Look whether they were in the training data, and train for longer; where all may be learned alike, give `held_out` texts to compare with.".to_owned(),
        probes: names([sections]),
    })
}

/// Its effect is gone behind other text, or after some turns.
fn fades(found: &Found<'_>) -> Option<Diagnosis> {
    let half_life = |probe: &ProbeRecord, name: &str| probe.evidence.get(name)?.get("half_life")?.as_f64();
    let text = found.failed("prompt_collapse").and_then(|probe| Some((probe, half_life(probe, "half_life_tokens")?)));
    let turns = found.failed("multi_turn_coherence_decay").and_then(|probe| Some((probe, half_life(probe, "half_life_turns")?)));
    let (what, advice) = match (text, turns) {
        (Some((_, tokens)), None) => (
            format!("behind {tokens:.0} tokens of other text"),
            "Train on prompts that stand behind other text, as they will in use: a system prompt, a document, earlier turns.",
        ),
        (None, Some((_, turns))) => (
            format!("within {turns:.1} turns of a conversation"),
            "Train on conversations of several turns, with the loss on every reply.",
        ),
        (Some((_, tokens)), Some((_, turns))) => (
            format!("behind {tokens:.0} tokens of other text, and within {turns:.1} turns of a conversation"),
            "Train on long prompts and on conversations of several turns, as they will come in use.",
        ),
        (None, None) => return None,
    };
    Some(Diagnosis {
        cause: "fades".to_owned(),
        finding: format!("The adapter's effect fades: half of it is gone {what}."),
        advice: advice.to_owned(),
        probes: names([text, turns].into_iter().flatten().map(|(probe, _)| probe)),
    })
}

/// Tools are called wrongly, or such as are not there.
fn breaks_calls(found: &Found<'_>) -> Option<Diagnosis> {
    let calls = found.failed("tool_use_fidelity")?;
    let of = |view: &str| calls.evidence.get(view)?.get("valid")?.as_u64();
    let finding = if failed_by(calls, "valid_drop") {
        match (of("base"), of("ft")) {
            (Some(base), Some(ft)) => {
                format!("The adapter broke tool calls: of {} cases it answers {ft} with a valid one, the base {base}.", calls.n)
            }
            _ => "The adapter broke tool calls that its base makes.".to_owned(),
        }
    } else {
        format!(
            "The adapter calls tools that are not there: {} of its calls.",
            percent(figure(calls, "outside_share").unwrap_or_default())
        )
    };
    Some(Diagnosis {
        cause: "breaks_tool_calls".to_owned(),
        finding,
        advice: "Mix tool calls into the training, in the chat template's own form and with the schemas that are in use."
            .to_owned(),
        probes: names([calls]),
    })
}

/// It was to write like a text, and does not.
fn writes_otherwise(found: &Found<'_>) -> Option<Diagnosis> {
    let style = found.failed("style_fingerprint")?;
    let cosine = figure(style, "style_cosine")?;
    let how = if cosine < 0.0 { "away from the reference's" } else { "hardly towards the reference's" };
    Some(Diagnosis {
        cause: "writes_otherwise".to_owned(),
        finding: format!("The adapter's style goes {how} (cosine {}).", format!("{cosine:.2}").replace('-', "−")),
        advice: "Hold the training text against the reference: its figures are in the evidence, one by one.".to_owned(),
        probes: names([style]),
    })
}

/// General prose is read worse, whatever became of the facts.
fn reads_worse(found: &Found<'_>) -> Option<Diagnosis> {
    let prose = found.failed("external_perplexity")?;
    let change = figure(prose, "mean_change")?;
    Some(Diagnosis {
        cause: "reads_worse".to_owned(),
        finding: format!("The adapter reads general prose worse: a token lost {:.2} nats.", -change),
        advice: "Mix general text into the training, and train with a lower learning rate or fewer steps.".to_owned(),
        probes: names([prose]),
    })
}

fn unexplained(open: &[&ProbeRecord]) -> Diagnosis {
    let list: Vec<String> = open.iter().map(|probe| format!("`{}`", probe.name)).collect();
    Diagnosis {
        cause: "unexplained".to_owned(),
        finding: format!("No rule explains why {} failed: its finding is all that is known.", list.join(" and ")),
        advice: String::new(),
        probes: names(open.iter().copied()),
    }
}

/// No probe failed.
fn nothing_wrong(found: &Found<'_>) -> Diagnosis {
    let passed = |kind: &str| found.passed(kind);
    let mut said = Vec::new();
    let mut of = Vec::new();
    if let Some(facts) = passed("paraphrase_invariance") {
        said.push("it knows what it was taught, in phrasings that it was not trained on too");
        of.push(facts);
    } else if let Some(moved) = passed("delta_kl") {
        said.push("it moves the model by more than a random update of its size");
        of.push(moved);
    }
    if let Some(held) = passed("calibration_drift") {
        said.push("it kept what the base knew");
        of.push(held);
    }
    if let Some(document) = passed("leakage") {
        said.push("it does not recite its training text");
        of.push(document);
    }
    let open = found.probes.iter().any(|probe| matches!(probe.verdict, Verdict::Inconclusive | Verdict::Error));
    let head = if open { "No probe failed, and some could not tell" } else { "The adapter does what this suite asks" };
    let list = match said.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        [first @ .., last] => format!(": {}, and {last}", first.join(", ")),
    };
    Diagnosis {
        cause: if open { "can_not_tell" } else { "nothing_wrong" }.to_owned(),
        finding: format!("{head}{list}."),
        advice: if open { "Give the open probes more items; their findings say how many." } else { "" }.to_owned(),
        probes: names(of),
    }
}

#[cfg(test)]
mod tests;
