//! The fault matrix: one suite, adapters whose faults are known. Every healthy one passes, every fault fails or is refused, and the
//! diagnosis names its cause. The first of each kind are what suite and rules were tuned on; the others were never looked at before.

use std::collections::BTreeMap;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::Dtype;

use crate::world::{ROOT, Tensor, World, sway};

type Tensors = BTreeMap<String, Tensor>;

/// What becomes of a healthy adapter's tensors.
type Fault = fn(&mut Tensors);

/// The kinds that `make.py` trains, how many of each, and what a run says of it.
const TRAINED: [(&str, usize, &str); 6] = [
    ("healthy", 6, "nothing_wrong"),
    ("undertrained", 3, "hardly_learned"),
    ("memorised", 3, "learned_by_heart"),
    ("wrong_facts", 3, "another_answer"),
    ("forgot", 3, "forgot"),
    ("other_base", 3, "like_a_random_update"),
];

/// Those that are made here of a healthy one: with a cause, or refused with these words.
const MADE: [(&str, Fault, &str); 6] = [
    ("no_op", no_op, "does_nothing"),
    ("random", random, "like_a_random_update"),
    ("over_scaled", over_scaled, "too_strong"),
    ("one_nan", one_nan, "holds NaN at index 7"),
    ("other_keys", other_keys, "56 of its 56 tensors match no linear layer of the base"),
    ("half_the_keys", half_the_keys, "names 28 linear layers, and 14 of them have no tensors"),
];

fn each_b(tensors: &mut Tensors, change: impl Fn(&mut Tensor)) {
    tensors.iter_mut().filter(|(name, _)| name.contains("lora_B")).for_each(|(_, tensor)| {
        tensor.cast(Dtype::F32);
        change(tensor);
    });
}

fn no_op(tensors: &mut Tensors) {
    each_b(tensors, |tensor| tensor.scale(0.0));
}

fn over_scaled(tensors: &mut Tensors) {
    each_b(tensors, |tensor| tensor.scale(6.0));
}

fn one_nan(tensors: &mut Tensors) {
    let tensor = tensors.values_mut().nth(5).unwrap();
    tensor.cast(Dtype::F32);
    tensor.set(7, f32::NAN);
}

fn other_keys(tensors: &mut Tensors) {
    *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (name.replace("layers", "blocks"), tensor)).collect();
}

fn half_the_keys(tensors: &mut Tensors) {
    tensors.retain(|name, _| name.contains("layers.0") || name.contains("layers.1"));
}

/// Every matrix drawn anew, B and A each of its own Frobenius norm: the update has nearly the real one's.
fn random(tensors: &mut Tensors) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for tensor in tensors.values_mut() {
        let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let real = tensor.values();
        let drawn: Vec<f32> = real.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
        let scale = (norm(&real) / norm(&drawn)) as f32;
        tensor.replace(&drawn.iter().map(|value| value * scale).collect::<Vec<f32>>());
    }
}

/// What a run says of an adapter: its exit code, and the first cause or the refusal.
fn run(adapter: &str) -> (i32, String) {
    let suite = format!("{ROOT}/tests/matrix/suite.toml");
    let told = sway(&["run", &suite, "--adapter", adapter, "--format", "jsonl"]);
    if told.code == 4 {
        return (4, told.stderr);
    }
    let summary = told.lines().pop().unwrap();
    let cause = summary["diagnosis"][0]["cause"].as_str().unwrap_or_default();
    (told.code, cause.to_owned())
}

/// The row of one adapter in the table of `tests/matrix/README.md`, or what is wrong with it.
fn row(name: &str, adapter: &str, wanted: &str) -> Result<String, String> {
    let (code, said) = run(adapter);
    let refused = code == 4 && said.contains(wanted);
    let right = match wanted {
        "nothing_wrong" => code == 0 && said == wanted,
        _ => refused || (code == 1 && said == wanted),
    };
    let verdict = match code {
        0 => "pass",
        1 => "fail",
        4 => "refused",
        _ => "can't tell",
    };
    let said = if refused { wanted } else { &said };
    if right { Ok(format!("| {name} | {verdict} | {said} |")) } else { Err(format!("{name}: exit {code}, {said}; not {wanted}")) }
}

/// The trained adapters of these numbers, and those made of the healthy one of this number.
fn rows(wanted: impl Fn(usize) -> bool, healthy: &str) -> Vec<Result<String, String>> {
    let mut rows = Vec::new();
    for (kind, count, cause) in TRAINED {
        for number in (1..=count).filter(|number| wanted(*number)) {
            let name = format!("{kind}_{number}");
            rows.push(row(&name, &format!("{ROOT}/tests/matrix/{name}"), cause));
        }
    }
    for (kind, fault, cause) in MADE {
        let world = World::new();
        let adapter = world.adapter_of(&format!("tests/matrix/{healthy}"), fault);
        rows.push(row(&format!("{kind} of {healthy}"), &adapter, cause));
    }
    rows
}

/// Holds rows against the table, and tells of all that do not hold.
fn hold(rows: Vec<Result<String, String>>) {
    let table = std::fs::read_to_string(Path::new(ROOT).join("tests/matrix/README.md")).unwrap_or_default();
    let (found, wrong): (Vec<_>, Vec<_>) = rows.into_iter().partition(Result::is_ok);
    let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stale: Vec<String> = found.into_iter().flatten().filter(|row| !table.lines().any(|line| line == row)).collect();
    assert!(stale.is_empty(), "tests/matrix/README.md should have\n{}", stale.join("\n"));
}

#[test]
fn the_adapters_that_the_suite_was_tuned_on_are_told_apart() {
    hold(rows(|number| number == 1, "healthy_1"));
}

#[test]
fn adapters_of_other_seeds_and_shapes_are_told_apart_too() {
    hold(rows(|number| number > 1, "healthy_6"));
}
