//! States that are written down and read back, as a run's checkpoints and shards do.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::training::Left;
use super::*;
use crate::math::derive_seed;
use crate::request::{Embedding, RollingLogprob};

fn written<T: Serialize>(state: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(state).unwrap()
}

/// What is read of what was written.
fn again<T: Serialize + DeserializeOwned>(state: &T) -> T {
    let bytes = written(state);
    let read = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(written(&read), bytes);
    read
}

/// What an item measures, when `answer` plays the model.
fn measured<P: Probe>(probe: &P, item: &P::Item, answer: impl Fn(&Request) -> Answer) -> P::Measurement {
    let mut rounds = Vec::new();
    loop {
        let asked = probe.ask(item, &rounds);
        if asked.is_empty() {
            return probe.measure(item, &rounds).unwrap();
        }
        rounds.push(asked.iter().map(&answer).collect());
    }
}

/// Folds a probe's items, once as they are, and once with every item, every measurement and the state after half of them written and read
/// back. Gives the kind's name.
fn resumes<P: Probe<Item: Debug>>(toml: &str, rows: &dyn OpenRows, answer: impl Fn(&Request) -> Answer) -> &'static str {
    let mut probe: P = probe(toml);
    probe.read(rows).unwrap();
    probe.meet(MODEL);
    probe.seed(3);
    let items: Vec<P::Item> = probe.open(rows).unwrap().map(Result::unwrap).collect();
    let (mut whole, mut resumed, mut forgotten) = (P::Fold::default(), P::Fold::default(), P::Fold::default());
    for (at, item) in items.iter().enumerate() {
        if at == items.len() / 2 {
            resumed = again(&resumed);
            forgotten = P::Fold::default();
        }
        let read = again(item);
        assert_eq!(format!("{read:?}"), format!("{item:?}"), "{}", P::KIND.name);
        let (own, of_read) = (measured(&probe, item, &answer), again(&measured(&probe, &read, &answer)));
        assert_eq!(probe.scores(&of_read), probe.scores(&own), "{}", P::KIND.name);
        let index = at as u64;
        probe.fold(&mut whole, index, own);
        probe.fold(&mut resumed, index, of_read);
        probe.fold(&mut forgotten, index, measured(&probe, item, &answer));
    }
    // As text: figures that are no number are equal then.
    let told = |fold: &P::Fold| {
        format!("{:?}", (probe.judge(fold, &Court::PLAIN), probe.metric(fold), probe.divergence(fold), probe.noise_floor(fold)))
    };
    assert_eq!(told(&resumed), told(&whole), "{}", P::KIND.name);
    // Else nothing would have been seen.
    assert!(items.is_empty() || told(&forgotten) != told(&whole), "{}", P::KIND.name);
    P::KIND.name
}

/// In [0, 1), as good as random, and the same each time.
fn chance(request: &Request, purpose: &str) -> f64 {
    (derive_seed(0, &[&format!("{request:?}"), purpose]) >> 11) as f64 / (1_u64 << 53) as f64
}

fn sentences(request: &Request) -> String {
    let all = [
        "The lamp is old, and it was here.",
        "We go on to the river!",
        "Nobody questioned (perhaps deliberately) whatever remained.",
        "A door; a boat, a hill.",
        "Is it so?",
    ];
    let of = |sentence: &&str| chance(request, sentence) < 0.6;
    let written: Vec<&str> = all.into_iter().filter(of).collect();
    if written.is_empty() { "So.".to_owned() } else { written.join(" ") }
}

/// A model that answers anything: each question in its own way.
fn anything(request: &Request) -> Answer {
    let share = chance(request, "figure");
    match &request.op {
        Op::NextTokenDist { versus: Some(_), .. } => moved(0.01 + 0.3 * share, 1.0 + share),
        Op::NextTokenDist { versus: None, .. } => {
            let logits = [share as f32, 0.0, 1.0];
            let sum = logits.iter().map(|logit| logit.exp()).sum::<f32>().ln();
            Answer::NextTokenDist(NextTokenDist {
                token_ids: vec![2, 0, 1],
                logprobs: [2, 0, 1].map(|id: usize| logits[id] - sum).to_vec(),
                tail_logprob: None,
                vocab_size: 3,
                entropy: share,
                divergence: None,
            })
        }
        Op::LogprobOf { .. } => logprob(-0.1 - 4.0 * share),
        Op::RollingLogprob { text } => {
            let num_tokens = 1 + text.split_whitespace().count() * 4 / 3;
            let total_logprob = -(1.0 + share) * num_tokens as f64;
            Answer::RollingLogprob(RollingLogprob { total_logprob, num_tokens, logprobs: Vec::new() })
        }
        Op::Generate { .. } => text(&sentences(request)),
        Op::Embed { .. } => {
            let embedding = ["x", "y", "z"].map(|axis| chance(request, axis) as f32 - 0.5).to_vec();
            Answer::Embedding(Embedding { embedding, num_tokens: 2 })
        }
        other => panic!("{other:?}"),
    }
}

fn failed() -> Answer {
    Answer::Failed(crate::request::Failure { code: "timeout".to_owned(), message: "it took\ntoo long".to_owned() })
}

/// Prompts of all forms.
const FORMS: &str = r#"
    "a text",
    [{ role = "user", content = "hi" }],
    { messages = [{ role = "system", content = "be brief" }, { role = "user", content = [{ type = "text", text = "a" }, 1.5, -3] }] },
    { messages = [{ role = "user", content = "hi" }], add_generation_prompt = false, chat_template = "t" },
    { messages = [{ role = "user", content = "hi" }], tools = [{ name = "f" }], chat_template_kwargs = { enable_thinking = true } }
"#;

/// The same with more keys each: `prompt = …, gold = …, …`
fn rows_of(count: usize, keys: impl Fn(usize) -> String) -> String {
    let chat = r#"[{ role = "user", content = "chat" }]"#;
    let row = |i: usize| match i {
        0 => format!("{{ messages = {chat}, {} }}", keys(i)),
        1 => format!("{{ messages = {chat}, add_generation_prompt = false, {} }}", keys(i)),
        2 => format!("{{ prompt = {{ messages = {chat}, tools = [] }}, {} }}", keys(i)),
        3 => format!("{{ prompt = \"in a group {i}\", cluster = \"group\", {} }}", keys(i)),
        _ => format!("{{ prompt = \"prompt {i}\", {} }}", keys(i)),
    };
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

const SECTIONS: &str = r#"
    "a section that is prose of nine words here",
    { name = "named", text = "some other prose that has a name of its own" },
    { kind = "instruction", prompt = "p", answer = " a" },
    { kind = "instruction", messages = [{ role = "user", content = "hi" }], answer = " b" },
    { kind = "preference", prompt = "p", chosen = " c", rejected = " d" },
    "the old ringer hid the green door and it is late in the dark",
    "a tired guard washed the round table with great care and went"
"#;

const HELD_OUT: &str = r#""the green door is old and late in the dark", "with great care a guard hid the round table""#;

fn on_prompts() -> Vec<&'static str> {
    let plain = format!("prompts = [{FORMS}, \"b\", \"c\", \"d\"]");
    let grouped = |i: usize| format!("{{ prompt = \"grouped {i}\", cluster = \"group {}\" }}", i % 5);
    let chat = "{ messages = [{ role = \"user\", content = \"h\" }], cluster = \"two\" }";
    let posed = format!("prompts = [{FORMS}, {chat}, {}]", (0..24).map(grouped).collect::<Vec<_>>().join(", "));
    let reference = "Whatever remained, by deliberate misfortune, nobody persistently questioned; so it vanished. ".repeat(14);
    vec![
        resumes::<DeltaKl>(&posed, &NoFiles, anything),
        resumes::<PromptCollapse>(&plain, &NoFiles, anything),
        resumes::<ClusterKl>(&prompts(24), &NoFiles, anything),
        resumes::<MultiTurnCoherenceDecay>(&plain, &NoFiles, anything),
        resumes::<StyleFingerprint>(&format!("{}\nreference = \"{reference}\"", prompts(12)), &NoFiles, |request| {
            match number(request) as usize % 3 {
                0 => text("Both write this."),
                _ => anything(request),
            }
        }),
        resumes::<AdapterAblation>(&plain, &NoFiles, anything),
        resumes::<NullAdapter>("", &NoFiles, anything),
        resumes::<NoiseFloorProbe>(&plain, &NoFiles, anything),
        resumes::<BaseInvariance>(&plain, &NoFiles, anything),
    ]
}

fn on_rows() -> Vec<&'static str> {
    let paraphrased =
        |i| format!("gold = \" gold {i}.\", paraphrases = [\"one {i}\", [{{ role = \"user\", content = \"two {i}\" }}]]");
    let cases = format!("cases = [{}]", rows_of(12, paraphrased));
    let field = |i| if i % 3 == 0 { ", field = \"rivers\"" } else { "" };
    let facts = format!("items = [{}]", rows_of(12, |i| format!("gold = \" g {i}\"{}", field(i))));
    let triples = format!("triples = [{}]", rows_of(12, |i| format!("chosen = \" y {i}\", rejected = \" n\"")));
    let texts = list("texts", 30, |i| format!("\"A text of some words, number {i}. It goes on a little.\""));
    let sections = format!("sections = [{SECTIONS}]\nheld_out = [{HELD_OUT}]");
    vec![
        resumes::<AdapterRevert>(&cases, &NoFiles, anything),
        resumes::<ParaphraseInvariance>(&cases, &NoFiles, anything),
        resumes::<CalibrationDrift>(&facts, &NoFiles, anything),
        resumes::<PreferenceFlip>(&triples, &NoFiles, anything),
        resumes::<ExternalPerplexity>(&texts, &NoFiles, anything),
        resumes::<SectionInternalization>(&sections, &NoFiles, anything),
        resumes::<Leakage>(&sections, &NoFiles, |request| match &request.op {
            Op::Generate { .. } if request.view == View::Ft => {
                let all = "hid the green door and it is late in the dark washed the round table with great care".split(' ');
                text(&all.filter(|word| chance(request, word) < 0.8).collect::<Vec<_>>().join(" "))
            }
            _ => anything(request),
        }),
    ]
}

fn calls(request: &Request) -> Answer {
    text(match (chance(request, "call") * 5.0) as usize {
        0 => r#"{"name": "weather", "arguments": {"city": "Ostrel"}}"#,
        1 => r#"{"name": "weather", "arguments": {"city": "Lund", "days": 2}}"#,
        2 => r#"{"name": "weather", "arguments": {"days": 2}}"#,
        3 => r#"{"name": "rocket", "arguments": {}}"#,
        _ => "no call",
    })
}

fn on_calls() -> &'static str {
    let tool = r#"tool = { name = "weather", parameters = { type = "object", properties = { city = { type = "string" }, days = { type = "integer", maximum = 14.5 } }, required = ["city"] } }"#;
    let chat = r#"messages = [{ role = "user", content = "hi" }]"#;
    let cases = list("cases", 30, |i| match i {
        0 => format!("{{ {chat}, {tool}, tools = [{{ type = \"function\", function = {{ name = \"clock\" }} }}] }}"),
        1 => format!(
            "{{ {chat}, add_generation_prompt = false, {tool}, tools = [{{ name = \"clock\" }}], gold_tool = \"clock\" }}"
        ),
        _ => format!("{{ prompt = \"case {i}\", {tool} }}"),
    });
    resumes::<ToolUseFidelity>(&cases, &NoFiles, calls)
}

fn on_pipelines() -> &'static str {
    let case = |i| match i {
        0 => "\"gold\"".to_owned(),
        1 => "{ input = \"gold\", cluster = \"group\", more = { a = [1, -2, 2.5, true] } }".to_owned(),
        _ => format!("{{ b = {i}, input = \"case {i}\", a = \"x\" }}"),
    };
    let toml = format!(
        r#"
        repeat = 2
        min_gain = 0.1
        pass_score = 0.5
        pass_at_k = {{ k = 2, min = 0.5 }}
        max_failed = 0.99
        {}
        [[stage]]
        prompt = "{{{{ input }}}}"
        params = {{ temperature = 1.0 }}
        [[scorer]]
        kind = "exact"
        target = "gold"
        [[scorer]]
        kind = "judge"
        endpoint = "j"
        rubric = "{{{{ output }}}} {{{{ input }}}}"
        "#,
        list("cases", 30, case)
    );
    resumes::<Pipeline>(&toml, &NoFiles, |request| match &request.op {
        _ if chance(request, "fails") < 0.05 => failed(),
        Op::Complete { .. } => text(&format!("{{\"score\": {:.2}}}", 1.3 * chance(request, "score"))),
        _ => text(if chance(request, "right") < 0.5 { "gold" } else { "else" }),
    })
}

/// Losses and gradients of which some are no numbers.
fn on_trainings() -> Vec<&'static str> {
    let loss = |step: u64| LossPoint {
        step,
        loss: if step == 3 { f64::NEG_INFINITY } else { 3.0 - 0.1 * step as f64 },
        grad_norm: match step % 3 {
            0 => None,
            1 => Some(f64::NAN),
            _ => Some(f64::INFINITY),
        },
    };
    let parameter = |i: u64| TrainedParameter {
        name: format!("layer {i}"),
        shape: vec![4, 8 + i],
        memory: (i != 2).then_some(SecondMoments {
            step: (i != 1).then_some(60.0 + i as f64),
            values: 32,
            not_finite: u64::from(i == 0),
            zeros: 3,
            mean: if i == 4 { f64::INFINITY } else { 1e-9 / (i + 1) as f64 },
        }),
    };
    let left = Left { losses: (1..20).map(loss).collect(), parameters: (0..8).map(parameter).collect(), ..Left::default() };
    vec![resumes::<TrainingDrift>("", &left, anything), resumes::<GradientGhost>("", &left, anything)]
}

#[test]
fn every_kind_judges_with_a_state_that_was_read_back_as_with_one_that_never_was_written() {
    let mut resumed = [on_prompts(), on_rows(), on_trainings(), vec![on_calls(), on_pipelines()]].concat();
    resumed.sort_unstable();
    let mut kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    kinds.sort_unstable();
    assert_eq!(resumed, kinds);
}

#[test]
fn figures_that_are_not_finite_are_read_back_bit_for_bit() {
    let figures = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 3.0, f64::MAX];
    for figure in figures {
        let divergence = Divergence {
            js: figure,
            kl: figure,
            kl_reverse: figure,
            rms: figure,
            max_change: figure,
            same_top: true,
            top_probability_change: figure,
        };
        let read: <DeltaKl as Probe>::Measurement = again(&divergence);
        let all = [read.js, read.kl, read.kl_reverse, read.rms, read.max_change, read.top_probability_change];
        assert_eq!(all.map(f64::to_bits), [figure.to_bits(); 6]);
        let ablation: AdapterAblation = probe(&prompts(1));
        let mut fold = <AdapterAblation as Probe>::Fold::default();
        ablation.fold(&mut fold, 0, [divergence; 5]);
        let mean = |fold| ablation.divergence(fold).map(|(_, mean)| mean.to_bits());
        assert_eq!(mean(&again(&fold)), mean(&fold));
    }
}

/// The items of a probe, all of them other ones.
fn differ<P: Probe<Item: Debug>>(toml: &str) {
    let probe: P = probe(toml);
    let items: Vec<P::Item> = probe.open(&NoFiles).unwrap().map(Result::unwrap).collect();
    let bytes: BTreeSet<Vec<u8>> = items.iter().map(written).collect();
    assert_eq!(bytes.len(), items.len(), "{items:?}");
}

#[test]
fn what_is_written_of_an_item_tells_it_from_any_that_differs() {
    let chat = r#"[{ role = "user", content = "a" }]"#;
    let asked = |more: &str| {
        format!(
            r#"{{ prompt = "a", {more} }}, {{ prompt = "a", cluster = "x", {more} }}, {{ prompt = "a", cluster = "y", {more} }},
            {{ prompt = {chat}, {more} }}, {{ messages = {chat}, add_generation_prompt = false, {more} }},
            {{ messages = {chat}, tools = [], {more} }}, {{ messages = {chat}, chat_template = "t", {more} }},
            {{ messages = {chat}, chat_template_kwargs = {{ a = 1, b = 2 }}, {more} }},
            {{ messages = {chat}, chat_template_kwargs = {{ a = 1, b = 2.0 }}, {more} }}"#
        )
    };
    differ::<DeltaKl>(&format!(
        r#"prompts = ["a", "b", {chat}, {{ prompt = "a", cluster = "x" }}, {{ prompt = "a", cluster = "y" }}]"#
    ));
    differ::<CalibrationDrift>(&format!(
        "items = [{}, {}, {}]",
        asked("gold = \"g\""),
        asked("gold = \"h\""),
        asked("gold = \"g\", field = \"f\"")
    ));
    differ::<PreferenceFlip>(&format!(
        "triples = [{}, {}]",
        asked("chosen = \"c\", rejected = \"r\""),
        asked("chosen = \"r\", rejected = \"c\"")
    ));
    let paraphrased = [asked("gold = \"g\", paraphrases = [\"p\"]"), asked("gold = \"g\", paraphrases = [\"p\", \"p\"]")];
    differ::<ParaphraseInvariance>(&format!("cases = [{}]", paraphrased.join(", ")));
    // The same text, learned from and held out.
    differ::<SectionInternalization>(&format!("sections = [{SECTIONS}, {HELD_OUT}]\nheld_out = [{HELD_OUT}]"));
    differ::<Pipeline>(
        r#"
        min_gain = 0.1
        cases = ["a", { input = "a", cluster = "x" }, { input = "a", cluster = "y" }, { input = "a", b = 1 }, { input = "a", b = 1.0 }]
        [[stage]]
        prompt = "{{ input }}"
        [[scorer]]
        kind = "exact"
        target = "gold"
        "#,
    );
}

#[test]
fn the_order_of_keys_is_part_of_a_prompt() {
    let of = |tools: &str| -> Prompt {
        serde_json::from_str(&format!(r#"{{"messages": [{{"role": "user", "content": "a"}}], "tools": [{tools}]}}"#)).unwrap()
    };
    let (one, other) = (of(r#"{"a": 1, "b": 2}"#), of(r#"{"b": 2, "a": 1}"#));
    assert_ne!(written(&one), written(&other));
    assert_eq!([again(&one), again(&other)], [one, other]);
    assert!(rmp_serde::to_vec_named(&Prompt::Tokens(vec![1, 2])).is_err(), "which nothing reads again");
}

#[test]
fn one_of_the_few_sections_that_are_asked_more_stays_one() {
    let leakage: Leakage = probe(&format!("fragility_items = 1\nsections = [{SECTIONS}]"));
    let sections: Vec<Section> = leakage.open(&NoFiles).unwrap().map(Result::unwrap).collect();
    assert_eq!(sections.iter().filter(|section| section.sampled).count(), 1);
    assert_eq!(sections.iter().map(again).collect::<Vec<_>>(), sections);
    for key in ["sampled", "held_out"] {
        assert!(toml::from_str::<Leakage>(&format!("sections = [{{ text = \"a\", {key} = true }}]")).is_err(), "{key}");
    }
}

#[test]
fn a_state_with_something_more_is_none() {
    let mut finding = written(&<PreferenceFlip as Probe>::Fold::default());
    assert!(rmp_serde::from_slice::<<PreferenceFlip as Probe>::Fold>(&finding).is_ok());
    // A map of one entry becomes one of two.
    finding[0] += 1;
    finding.extend(written(&"more"));
    finding.extend(written(&1));
    assert!(
        rmp_serde::from_slice::<<PreferenceFlip as Probe>::Fold>(&finding).is_err_and(|error| error.to_string().contains("more"))
    );
}
