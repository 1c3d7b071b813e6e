//! `--device` and a suite's `device`: a run says where it computed, and a device that is not there is refused before anything loads.

use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, ROOT, World, lines_of, sway, sway_reading};

/// Most that a log-probability of two ways to compute it may differ, in nats.
const NEAR: f64 = 1e-4;

const PROBE: &str = r#"
[null]
runs = 0

[[probe]]
name = "moved"
kind = "delta_kl"
prompts = ["Nessa Drace", "The home of Nessa Drace", "Senna Wick likes", "Senna Wick has", "Every day"]
decide = "point"
"#;

fn suite(world: &World, device: &str) -> String {
    let model = format!("version = 1\n[model]\nbase = '{ROOT}/{BASE}'\nadapter = '{ROOT}/{HEALTHY}'\n{device}\n");
    world.write("suite.toml", format!("{model}{PROBE}"))
}

#[test]
fn the_operations_of_gpus_answer_as_the_cpu_does() {
    let requests = [
        json!({"op": "logprob_of", "view": "ft", "prompt": "The home of Nessa Drace is in", "completion": " Fallowmere."}),
        json!({"op": "rolling_logprob", "view": "base", "text": "Nessa Drace has a house in Fallowmere."}),
        json!({"op": "generate", "view": "ft", "prompt": "The home of Nessa Drace is in", "max_new_tokens": 16}),
    ];
    let [here, there] = ["cpu", "candle"].map(|device| {
        let args = ["score", "--base", BASE, "--adapter", HEALTHY, "--device", device];
        let told = sway_reading(lines_of(&requests), &args);
        assert_eq!((told.code, told.stderr.as_str()), (0, ""));
        told.lines()
    });
    for (name, index) in [("logprob", 0), ("total_logprob", 1)] {
        let [here, there] = [&here, &there].map(|lines| lines[index][name].as_f64().unwrap());
        assert!((here - there).abs() <= NEAR, "{here} and {there}");
    }
    assert_eq!((&here[2], here[2]["text"].as_str()), (&there[2], Some(" Fallowmere.")));
}

#[test]
fn a_run_says_where_it_computed() {
    let world = World::new();
    let run = |device: &str, args: &[&str]| {
        let (json, junit) = (world.path("r.json"), world.path("r.xml"));
        let suite = suite(&world, device);
        let told = sway(&[&["run", &suite, "--exit-zero", "--json", &json, "--junit", &junit], args].concat());
        assert_eq!(told.stderr, "");
        (told.stdout.split_whitespace().collect::<Vec<_>>().join(" "), world.json("r.json"))
    };
    let (told, there) = run("device = \"candle\"", &[]);
    assert!(told.contains(" parameters · in f32 on candle · "), "{told}");
    assert_eq!(there["base"]["device"], "candle");
    assert!(world.read("r.xml").contains(r#"<property name="device" value="candle"/>"#));
    // The noise floor of another device is what it differs by from the CPU.
    let floor = there["liveness"]["noise_floor"].as_f64().unwrap();
    assert!(floor > 0.0 && floor < NEAR, "{floor}");

    let (told, here) = run("device = \"candle\"", &["--device", "cpu"]);
    assert!(told.contains(" parameters · in f32 · "), "{told}");
    assert_eq!(here["base"]["device"], "cpu");
    let raw = |record: &Value| record["probes"][0]["estimate"]["value"].as_f64().unwrap();
    assert!((raw(&here) - raw(&there)).abs() < NEAR, "{} and {}", raw(&here), raw(&there));
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn a_device_that_is_not_there_is_refused_before_the_models_are_looked_for() {
    let world = World::new();
    insta::assert_snapshot!(sway(&["score", "--base", "no-such-base", "--device", "cuda:0"]).shown(), @r#"
    exit 2
    --- stderr
    error: this sway was built without CUDA
    hint: build it with `cargo install --path . --features cuda` where NVIDIA's CUDA toolkit is installed, or compute on the CPU
    "#);
    insta::assert_snapshot!(sway(&["score", "--base", "no-such-base", "--device", "gpu"]).shown(), @r#"
    exit 2
    --- stderr
    error: invalid value 'gpu' for '--device <DEVICE>': there is no device `gpu`; known are `cpu`, `cuda:0` (or another number), `metal`, and `candle`

    For more information, try '--help'.
    "#);
    let told = sway(&["run", &suite(&world, "device = \"cuda:1\"")]);
    insta::assert_snapshot!(told.shown().replace(&world.path(""), ""), @r#"
    exit 2
    --- stderr
    error: this sway was built without CUDA
     --> suite.toml:5:10
      |
    5 | device = "cuda:1"
      |          ^^^^^^^^
      |
      = hint: build it with `cargo install --path . --features cuda` where NVIDIA's
              CUDA toolkit is installed, or compute on the CPU
    "#);
    let told = sway(&["run", &suite(&world, "device = \"gpu\"")]);
    insta::assert_snapshot!(told.shown().replace(&world.path(""), ""), @r#"
    exit 2
    --- stderr
    error: there is no device `gpu`; known are `cpu`, `cuda:0` (or another number), `metal`, and `candle`
     --> suite.toml:5:10
      |
    5 | device = "gpu"
      |          ^^^^^
    "#);
    let told = sway(&["run", &suite(&world, ""), "--device", "metal"]);
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: this sway was built without Metal
    hint: build it on a Mac with `cargo install --path . --features metal`, or compute on the CPU
    "#);
}
