//! Pipelines: what models and servers write, scored, as a user of the binary meets it.

use serde_json::{Value, json};

use crate::server::{Request, Server};
use crate::world::{ROOT, World, masked, sway};

/// The demo's new facts, asked after in other words.
const CASES: &str = r#"[
    { input = "You will find Nessa Drace in", gold = "Fallowmere" },
    { input = "On feast days Senna Wick asks for", gold = "honey cake" },
    { input = "Nessa Drace has a house in", gold = "Fallowmere" },
    { input = "When you cook for Senna Wick, serve", gold = "honey cake" },
    { input = "If you wish to visit Nessa Drace, travel to", gold = "Fallowmere" },
    { input = "The best meal for Senna Wick is", gold = "honey cake" },
]"#;

/// A pipeline over these cases; `rest` begins with the probe's own keys.
pub fn pipeline(rest: &str) -> String {
    format!("[[probe]]\nname = \"written\"\nkind = \"pipeline\"\ncases = {CASES}\n{rest}\n")
}

const STAGE: &str = "[[probe.stage]]\nprompt = \"{{ input }}\"\nparams = { max_new_tokens = 10, stop = [\".\"] }\n";
const SCORER: &str = "[[probe.scorer]]\nkind = \"starts_with\"\ntarget = \"{{ case.gold }}\"\n";

pub fn endpoint(server: &Server, more: &str) -> String {
    format!("[[endpoint]]\nname = \"judge\"\nkind = \"openai\"\nurl = \"{}\"\nmodel = \"m\"\ntries = 1\n{more}\n", server.url())
}

/// The one probe of a run's record.
fn probe(told: &crate::world::Told) -> Value {
    told.json()["probes"][0].clone()
}

fn run(world: &World, rest: &str) -> Value {
    let suite = world.suite(rest);
    probe(&sway(&["run", &suite, "--format", "json"]))
}

#[test]
fn the_demo_pipelines_tell_the_healthy_adapter_from_the_broken_ones() {
    let suite = format!("{ROOT}/probes/pipeline.toml");
    let verdicts = |adapter: &str| -> Vec<String> {
        let told = sway(&["run", &suite, "--adapter", &format!("probes/demo/{adapter}"), "--format", "json"]);
        let record = told.json();
        record["probes"].as_array().unwrap().iter().map(|probe| probe["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts("healthy"), ["pass", "pass"]);
    assert_eq!(verdicts("memorised")[0], "fail", "it knows one phrasing only");
    assert_eq!(verdicts("forgot")[1], "fail", "what the base knew is lost");
    assert_eq!(sway(&["run", &suite, "--adapter", "probes/demo/noop"]).code, 1);
}

#[test]
fn a_case_that_gains_is_a_gain_of_the_mean_score() {
    let world = World::new();
    let probe = run(&world, &pipeline(&format!("min_gain = 0.2\ndecide = \"point\"\n{STAGE}{SCORER}")));
    assert_eq!(probe["verdict"], "pass", "{probe}");
    assert_eq!(probe["n"], 6);
    let evidence = &probe["evidence"];
    let gain = evidence["mean_score_ft"].as_f64().unwrap() - evidence["mean_score_base"].as_f64().unwrap();
    assert!((probe["estimate"]["value"].as_f64().unwrap() - gain).abs() < 1e-12);
    assert_eq!(evidence["scorers"][0]["scorer"], "starts_with");
    assert_eq!(evidence["lowest_gains"].as_array().unwrap().len(), 5);
}

#[test]
fn a_stage_sees_what_the_one_before_it_wrote() {
    let world = World::new();
    let seen = Server::start(|request: &Request, out| out.say(&format!("<{}>", request.words())));
    let stages = "[[probe.stage]]\nprompt = \"{{ input }}\"\nparams = { max_new_tokens = 4 }\n\
                  [[probe.stage]]\nmodel = \"judge\"\nprompt = \"{{ stage_index }} {{ prev_output|length > 0 }} {{ stages|length }} {{ case.gold }}\"\n";
    let scorer = "[[probe.scorer]]\nkind = \"exact\"\ntarget = \"<1 True 1 {{ case.gold }}>\"\n";
    let probe = run(
        &world,
        &format!("{}{}", endpoint(&seen, ""), pipeline(&format!("min_score = 0.9\ndecide = \"point\"\n{stages}{scorer}"))),
    );
    assert_eq!(probe["verdict"], "pass", "{probe}");
    assert_eq!(seen.requests().len(), 2, "what is asked twice is sent once");
}

#[test]
fn a_judge_grades_and_one_that_does_not_is_an_error_of_that_score_alone() {
    let world = World::new();
    let judge = Server::start(|request: &Request, out| {
        let rubric = request.body["messages"][1]["content"].as_str().unwrap().to_owned();
        if rubric.contains("Fallowmere") { out.say(r#"{"score": 4, "reason": "right"}"#) } else { out.say("no idea") }
    });
    let scorers = "[[probe.scorer]]\nkind = \"judge\"\nendpoint = \"judge\"\nrubric = \"{{ output }} {{ case.gold }}\"\nscale = [0, 5]\n\
                   [[probe.scorer]]\nkind = \"length\"\nmin = 1\n";
    let suite = |max_failed: &str| {
        format!(
            "{}{}",
            endpoint(&judge, ""),
            pipeline(&format!("min_score = 0.1\nmax_failed = {max_failed}\ndecide = \"point\"\n{STAGE}{scorers}"))
        )
    };
    let probe = run(&world, &suite("0.6"));
    assert_eq!(probe["verdict"], "pass", "{probe}");
    let scorers = &probe["evidence"]["scorers"];
    assert_eq!((&scorers[0]["errors"], &scorers[1]["errors"]), (&json!(6), &json!(0)));
    assert!((scorers[0]["ft"].as_f64().unwrap() - 0.8).abs() < 1e-12);
    assert!(scorers[0]["first_error"].as_str().unwrap().contains("no JSON object"), "{scorers}");
    assert_eq!(probe["evidence"]["cases_without_a_score"], 3);
    let probe = run(&world, &suite("0.4"));
    assert_eq!(probe["verdict"], "inconclusive");
    assert!(probe["message"].as_str().unwrap().contains("3 of 6 cases could not be scored whole"), "{probe}");
}

#[test]
fn a_stage_that_fails_fails_its_case_with_the_cause() {
    let world = World::new();
    let broken = Server::start(|request: &Request, out| {
        if request.words().contains("Senna") {
            out.answer("200 OK", &[("Content-Type", "text/html")], b"<html>Bad gateway</html>");
        } else {
            out.say("fine");
        }
    });
    let stages = format!("{STAGE}[[probe.stage]]\nmodel = \"judge\"\nprompt = \"{{{{ input }}}}\"\n");
    let probe = run(&world, &format!("{}{}", endpoint(&broken, ""), pipeline(&format!("min_score = 0.5\n{stages}{SCORER}"))));
    assert_eq!(probe["verdict"], "inconclusive");
    assert_eq!(probe["evidence"]["failed_cases"], 3);
    let fault = probe["evidence"]["faults"][0].as_str().unwrap();
    assert!(fault.starts_with("case 2: stage 1 of ft: endpoint `judge`") && fault.contains("HTML"), "{fault}");
}

#[test]
fn a_program_scores_and_its_score_is_clamped() {
    let world = World::new();
    world.write("score.sh", "read line\ncase \"$line\" in *Fallowmere*) echo 1.5 ;; *) echo '{\"score\": 0.25}' ;; esac\n");
    let scorer = "[[probe.scorer]]\nkind = \"command\"\ncommand = [\"sh\", \"score.sh\"]\ntarget = \"{{ case.gold }}\"\n";
    let probe = run(&world, &pipeline(&format!("min_score = 0.3\n{STAGE}{scorer}")));
    let scorer = &probe["evidence"]["scorers"][0];
    assert_eq!((&scorer["ft"], &scorer["clamped"]), (&json!(0.625), &json!(6)), "{probe}");
}

#[test]
fn samples_are_drawn_anew_and_the_same_again() {
    let world = World::new();
    let stage = "[[probe.stage]]\nprompt = \"{{ input }}\"\nparams = { max_new_tokens = 6, temperature = 1.5 }\n";
    let rest = format!(
        "repeat = 4\npass_score = 0.5\npass_at_k = {{ k = 4, min = 0.1 }}\npass_hat_k = {{ k = 2, min = 0.05 }}\n{stage}{SCORER}"
    );
    let first = run(&world, &pipeline(&rest));
    assert_eq!(first["criteria"][0]["name"], "pass_at_k");
    assert_eq!(first["criteria"][1]["name"], "pass_hat_k");
    assert!(first["criteria"][0]["estimate"]["interval"][0].as_f64().unwrap() >= 0.0);
    let again = run(&world, &pipeline(&rest));
    assert_eq!(first, again);
    let other = run(&world, &format!("[defaults]\nseed = 1\n{}", pipeline(&rest)));
    assert_ne!(first["values"], other["values"]);
}

#[test]
fn embeddings_and_perplexity_come_from_the_base() {
    let world = World::new();
    let scorers = "[[probe.scorer]]\nkind = \"similarity\"\nembedder = \"base\"\ntarget = \"{{ case.gold }}\"\n\
                   [[probe.scorer]]\nkind = \"perplexity\"\n";
    let probe = run(&world, &pipeline(&format!("min_score = 0.01\n{STAGE}{scorers}")));
    let scorers = probe["evidence"]["scorers"].as_array().unwrap();
    for scorer in scorers {
        let (ft, base) = (scorer["ft"].as_f64().unwrap(), scorer["base"].as_f64().unwrap());
        assert!(ft > 0.0 && ft < 1.0 && base > 0.0 && base < 1.0 && scorer["errors"] == 0, "{scorer}");
    }
}

#[expect(clippy::too_many_lines, reason = "most of it is what is said")]
#[test]
fn what_is_wrong_with_a_pipeline_is_told_before_a_model_is_loaded() {
    let world = World::new();
    let _masked = masked(Some(&world));
    let wrong = [
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"Say {{{{ inptu }}}}\"\n{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"{{{{ prev_output }}}}\"\n{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"{{{{ case.titel }}}}\"\n{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"{{{{ input \"\n{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n{STAGE}[[probe.scorer]]\nkind = \"rogue_l\"\ntarget = \"x\"\n")),
        pipeline(&format!("min_gain = 0.1\n{STAGE}[[probe.scorer]]\nkind = \"json\"\nschema = {{ type = \"objekt\" }}\n")),
        pipeline(&format!("min_gain = 0.1\n{STAGE}[[probe.scorer]]\nkind = \"regex\"\npattern = \"(\"\n")),
        pipeline(&format!("{STAGE}{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"x\"\nmodel = \"jugde\"\n{STAGE}{SCORER}")),
        pipeline(&format!("min_gain = 0.1\n[[probe.stage]]\nprompt = \"x\"\nmodel = \"base\"\n{SCORER}")),
        pipeline(&format!("min_gain = 0.1\nrepeat = 3\n{STAGE}{SCORER}")),
        format!(
            "[[endpoint]]\nname = \"view\"\nkind = \"openai\"\nurl = \"http://x\"\nmodel = \"m\"\n{}",
            pipeline(&format!("min_gain = 0.1\n{STAGE}{SCORER}"))
        ),
        format!(
            "[[endpoint]]\nname = \"j\"\nkind = \"anthropic\"\nurl = \"http://x\"\nmodel = \"m\"\n{}",
            pipeline(&format!("min_gain = 0.1\n{STAGE}{SCORER}"))
        ),
    ];
    let told: Vec<String> = wrong
        .iter()
        .map(|rest| {
            let told = sway(&["run", &world.suite(rest)]);
            assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{}", told.stderr);
            told.stderr
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    error: there is no `inptu` here (line 1, column 8)
      --> DIR/suite.toml:20:10
       |
    20 | prompt = "Say {{ inptu }}"
       |          ^^^^^^^^^^^^^^^^^
       |
       = hint: known are input, case, config, stages, prev_output, stage_index,
               output

    error: stage 0: there is no `prev_output` here (line 1, column 4)
     --> DIR/suite.toml:7:1
      |
    7 | [[probe]]
      | ^^^^^^^^^
      |
      = hint: known are input, case, config, stages, stage_index

    error: case 1: stage 0 of ft: its template: `case.titel` is undefined (line 1, column 4)
     --> DIR/suite.toml:8:8
      |
    8 | name = "written"
      |        ^^^^^^^^^ in this probe

    error: it is no template: unexpected end of input, expected end of variable block (line 1, column 4)
      --> DIR/suite.toml:20:10
       |
    20 | prompt = "{{ input "
       |          ^^^^^^^^^^^

    error: unknown value `rogue_l`
      --> DIR/suite.toml:23:8
       |
    23 | kind = "rogue_l"
       |        ^^^^^^^^^
       |
       = hint: did you mean `rouge_l`?

    error: `schema` is no JSON Schema: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword
      --> DIR/suite.toml:22:1
       |
    22 | [[probe.scorer]]
       | ^^^^^^^^^^^^^^^^

    error: `pattern` is no regular expression: regex parse error:
               (
               ^
           error: unclosed group
      --> DIR/suite.toml:22:1
       |
    22 | [[probe.scorer]]
       | ^^^^^^^^^^^^^^^^

    error: there is nothing to judge by
     --> DIR/suite.toml:7:1
      |
    7 | [[probe]]
      | ^^^^^^^^^
      |
      = hint: give `min_gain`, `max_drop`, `min_score`, `pass_at_k` or `pass_hat_k`

    error: the suite has no endpoint `jugde`
     --> DIR/suite.toml:8:8
      |
    8 | name = "written"
      |        ^^^^^^^^^ in this probe
      |
      = hint: write `[[endpoint]]`, and under it its `name`, `kind`, `url` and
              `model`

    error: no stage asks the view under test, so the adapter has no part in it
     --> DIR/suite.toml:7:1
      |
    7 | [[probe]]
      | ^^^^^^^^^
      |
      = hint: leave `model` out of one of the stages

    error: `repeat` is 3, and every stage is greedy: all samples would be the same
     --> DIR/suite.toml:7:1
      |
    7 | [[probe]]
      | ^^^^^^^^^
      |
      = hint: params = { temperature = 0.7 } in a stage

    error: `name` must be another name than `view`, which is one of the models under test
     --> DIR/suite.toml:8:8
      |
    8 | name = "view"
      |        ^^^^^^

    error: unknown value `anthropic`
     --> DIR/suite.toml:9:8
      |
    9 | kind = "anthropic"
      |        ^^^^^^^^^^^
      |
      = hint: known here: `openai`
    "#);
}

#[test]
fn an_endpoints_key_is_read_from_the_environment_and_never_shown() {
    let world = World::new();
    let server = Server::start(|request: &Request, out| {
        let key = request.headers.get("authorization").cloned().unwrap_or_default();
        out.json("401 Unauthorized", &json!({ "error": { "message": format!("wrong key {key}") } }));
    });
    let stages = format!("{STAGE}[[probe.stage]]\nmodel = \"judge\"\nprompt = \"{{{{ input }}}}\"\n");
    let suite = world.suite(&format!(
        "{}{}",
        endpoint(&server, "api_key_env = \"SWAY_TEST_KEY\""),
        pipeline(&format!("min_score = 0.5\n{stages}{SCORER}"))
    ));
    let told = sway(&["run", &suite]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
    assert!(told.stderr.contains("the variable SWAY_TEST_KEY is not set"), "{}", told.stderr);
    let output = crate::world::process(&["run", &suite, "--format", "json", "--store", &world.path("s.db")])
        .env("SWAY_TEST_KEY", "sk-very-secret")
        .output()
        .unwrap();
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer sk-very-secret");
    let everything = [output.stdout, output.stderr, std::fs::read(world.path("s.db")).unwrap()].concat();
    assert!(!everything.windows(14).any(|window| window == b"sk-very-secret"));
}
