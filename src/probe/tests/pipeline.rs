use serde_json::{Value, json};

use super::*;
use crate::request::Sampling;

/// Cases whose input ends in their number.
fn cases(count: usize) -> String {
    list("cases", count, |i| format!("{{ input = \"case {i}\", gold = \"gold {i}\" }}"))
}

const STAGE: &str = "[[stage]]\nprompt = \"{{ input }}\"\n";
const SCORER: &str = "[[scorer]]\nkind = \"exact\"\ntarget = \"{{ case.gold }}\"\n";

fn of(count: usize, keys: &str) -> Pipeline {
    probe(&format!("{keys}\n{}\n{STAGE}{SCORER}", cases(count)))
}

/// The case's number, whatever stands before it.
fn number_of(request: &Request) -> usize {
    number(request) as usize
}

/// `ft` writes the gold answer, and `base` something else.
fn gains(request: &Request) -> Answer {
    text(&if request.view == View::Ft { format!("gold {}", number_of(request)) } else { "else".to_owned() })
}

fn failed() -> RequestError {
    RequestError::Outside { code: "timeout", message: "it took too long".to_owned() }
}

fn judged_with(probe: &Pipeline, answer: impl Fn(&Request) -> Result<Answer, RequestError>) -> Judgement {
    course_of(probe, CoursePlan::default(), answer).judge(&Court::PLAIN).judgement.unwrap()
}

#[test]
fn both_sides_are_asked_the_same_with_the_same_seeds() {
    let toml = format!(
        "repeat = 3\nmin_gain = 0.1\n{}\n[[stage]]\nprompt = \"{{{{ input }}}}\"\nparams = {{ temperature = 1.0 }}\n{SCORER}",
        cases(2)
    );
    let asked = |seed: u64| {
        let mut course = probe::<Pipeline>(&toml).start(&NoFiles, MODEL, CoursePlan { seed, ..CoursePlan::default() }).unwrap();
        course.draw(2).unwrap();
        course.ask()
    };
    let first = asked(1);
    assert_eq!(first.len(), 12);
    let seed = |request: &Request| match request.op {
        Op::Generate { sampling: Sampling::Sample { seed, .. }, .. } => seed,
        _ => panic!("{request:?}"),
    };
    for case in first.chunks(6) {
        let (ft, base) = case.split_at(3);
        assert!(ft.iter().all(|request| request.view == View::Ft) && base.iter().all(|request| request.view == View::Base));
        assert!(ft.iter().zip(base).all(|(ft, base)| ft.op == base.op));
        assert_eq!(ft.iter().map(seed).collect::<BTreeSet<_>>().len(), 3);
    }
    assert_ne!(seed(&first[0]), seed(&first[6]), "another case");
    assert_eq!(first, asked(1));
    assert_ne!(first, asked(2));
}

#[test]
fn the_gain_is_the_mean_score_of_ft_less_that_of_base() {
    let found = judged(&of(12, "min_gain = 0.1"), |request| match number_of(request) {
        0..3 => text("else"),
        _ => gains(request),
    });
    assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
    assert_eq!(found.criteria[0].name, "gain");
    assert!((found.criteria[0].estimate.value - 0.75).abs() < 1e-12);
    assert_eq!((&found.evidence["mean_score_ft"], &found.evidence["mean_score_base"]), (&json!(0.75), &json!(0.0)));
    let none = judged(&of(12, "min_gain = 0.1"), |_| text("else"));
    assert_eq!(none.verdict, Verdict::Inconclusive, "no case differs, but 12 are few: {}", none.message);
    let none = judged(&of(60, "min_gain = 0.1"), |_| text("else"));
    assert_eq!(none.verdict, Verdict::Fail, "{}", none.message);
}

#[test]
fn a_loss_is_held_against_the_most_that_may_be_lost() {
    let keeps = judged(&of(60, "max_drop = 0.1"), |request| text(&format!("gold {}", number_of(request))));
    assert_eq!(keeps.verdict, Verdict::Pass, "{}", keeps.message);
    let few = judged(&of(6, "max_drop = 0.1"), |request| text(&format!("gold {}", number_of(request))));
    assert_eq!(few.verdict, Verdict::Inconclusive, "six that are alike say little: {}", few.message);
    assert!(few.criteria[0].items_to_settle.is_some_and(|items| (30..60).contains(&items)), "{:?}", few.criteria[0]);
    let loses = judged(&of(30, "max_drop = 0.1"), |request| {
        text(&if request.view == View::Base || number_of(request) < 10 {
            format!("gold {}", number_of(request))
        } else {
            "lost".to_owned()
        })
    });
    assert_eq!(loses.verdict, Verdict::Fail, "{}", loses.message);
}

#[test]
fn a_later_stage_is_asked_with_what_the_earlier_wrote() {
    let toml = format!(
        "min_gain = 0.1\n{}\n{STAGE}[[stage]]\nmodel = \"base\"\nprompt = \"{{{{ stages[0].output }}}} {{{{ prev_output }}}} {{{{ stage_index }}}} {{{{ input }}}}\"\n{SCORER}",
        cases(1)
    );
    let probe: Pipeline = probe(&toml);
    let mut course = probe.start(&NoFiles, MODEL, CoursePlan::default()).unwrap();
    course.draw(1).unwrap();
    assert_eq!(course.ask().len(), 2);
    assert_eq!(
        course.spots().iter().map(|spot| spot.map(|(_, spot)| (spot.view, spot.stage))).collect::<Vec<_>>(),
        [Some((View::Ft, 0)), Some((View::Base, 0))]
    );
    course.tell(vec![Ok(text("one")), Ok(text("two"))]);
    let second = course.ask();
    let prompts: Vec<String> = second.iter().map(|request| request.op.subject().into_owned()).collect();
    assert_eq!(prompts, ["one one 1 case 0", "two two 1 case 0"]);
    assert!(second.iter().all(|request| request.view == View::Base), "the stage names the base");
    assert_eq!(course.spots()[0].unwrap().1.view, View::Ft, "but it is written for ft's side");
    course.tell(vec![Ok(text("gold 0")), Ok(text("x"))]);
    assert!(course.ask().is_empty());
    let scores = course.take_scores();
    assert_eq!(
        scores.iter().map(|score| (score.case, score.view.as_str(), score.value)).collect::<Vec<_>>(),
        [(1, "ft", Some(1.0)), (1, "base", Some(0.0))]
    );
    assert!(course.take_scores().is_empty(), "they are taken once");
}

#[test]
fn a_side_that_fails_fails_its_case_and_no_other() {
    let of_failing = |failing: usize, keys: &str| {
        judged_with(&of(20, keys), move |request| {
            if number_of(request) < failing && request.view == View::Base { Err(failed()) } else { Ok(gains(request)) }
        })
    };
    let one = of_failing(1, "min_gain = 0.1");
    assert_eq!(one.verdict, Verdict::Pass, "{}", one.message);
    assert_eq!(one.criteria[0].estimate.n, 19);
    assert!(
        one.message.contains("1 of 20 cases could not be scored whole (case 1: stage 0 of base: it took too long)"),
        "{}",
        one.message
    );
    let two = of_failing(2, "min_gain = 0.1");
    assert_eq!(two.verdict, Verdict::Inconclusive);
    assert!(two.message.contains("more than the 5 % that `max_failed` allows"), "{}", two.message);
    assert_eq!(of_failing(2, "min_gain = 0.1\nmax_failed = 0.1").verdict, Verdict::Pass);
    assert_eq!(of_failing(20, "min_gain = 0.1\nmax_failed = 0.99").verdict, Verdict::Inconclusive);
}

#[test]
fn a_scorer_without_a_score_is_left_out_of_its_case_on_both_sides() {
    let toml = format!(
        "min_gain = 0.1\nmax_failed = 0.5\n{}\n{STAGE}{SCORER}[[scorer]]\nkind = \"judge\"\nendpoint = \"j\"\nrubric = \"{{{{ output }}}} {{{{ input }}}}\"\nweight = 3.0\n",
        cases(8)
    );
    let found = judged_with(&probe(&toml), |request| match &request.op {
        Op::Complete { .. } => {
            let rubric = request.op.subject();
            let is_first = ["else case 0\"", "else case 1\""].iter().any(|end| rubric.contains(end));
            if is_first { Err(failed()) } else { Ok(text("{\"score\": 0.5}")) }
        }
        _ => Ok(gains(request)),
    });
    // Of the first two cases the exact scorer alone counts, 1 and 0; of the others 0.25 · 1 + 0.75 · 0.5 and 0.75 · 0.5.
    assert_eq!(found.values[..3], [1.0, 1.0, 0.25]);
    assert_eq!(found.evidence["cases_without_a_score"], 2);
    let judge = &found.evidence["scorers"][1];
    assert_eq!((&judge["errors"], &judge["ft"], &judge["base"]), (&json!(2), &json!(0.5), &json!(0.5)));
}

#[test]
fn samples_pass_at_k_where_one_does_and_hat_k_where_all_do() {
    let toml = format!(
        "repeat = 2\npass_score = 1.0\npass_at_k = {{ k = 2, min = 0.6 }}\npass_hat_k = {{ k = 2, min = 0.6 }}\n{}\n[[stage]]\nprompt = \"{{{{ input }}}}\"\nmodel = \"j\"\n{STAGE}{SCORER}",
        cases(20)
    );
    // The view's stage is the last: its samples are the ones that differ, by what the endpoint wrote first.
    let found = judged(&probe::<Pipeline>(&toml), |request| match &request.op {
        Op::Complete { .. } => text("x"),
        _ => text(&format!("gold {}", number_of(request))),
    });
    assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
    assert_eq!(found.criteria.iter().map(|criterion| criterion.name.as_str()).collect::<Vec<_>>(), ["pass_at_k", "pass_hat_k"]);
    // Exact, Clopper–Pearson: of 20 all pass.
    let low = found.criteria[0].estimate.interval.unwrap()[0];
    assert!((low - 0.025f64.powf(1.0 / 20.0)).abs() < 1e-9);
}

#[test]
fn groups_of_cases_are_the_units() {
    let rows = list("cases", 24, |i| format!("{{ input = \"case {i}\", gold = \"gold {i}\", cluster = \"group {}\" }}", i % 6));
    let found =
        judged_with(&probe::<Pipeline>(&format!("min_gain = 0.1\nmax_failed = 0.2\n{rows}\n{STAGE}{SCORER}")), |request| {
            if number_of(request) == 5 { Err(failed()) } else { Ok(gains(request)) }
        });
    assert_eq!((found.criteria[0].estimate.n, found.criteria[0].estimate.clusters), (23, Some(6)));
}

#[test]
fn what_is_written_can_not_be_too_good() {
    let found = judged(&of(60, "min_score = 0.5"), gains);
    assert_eq!((found.verdict, found.score), (Verdict::Pass, Some(0.84)));
}

#[test]
fn what_no_pipeline_can_be_is_refused() {
    let wrong = |toml: &str| toml::from_str::<Pipeline>(toml).unwrap_err().message().to_owned();
    let with = |keys: &str| wrong(&format!("{keys}\n{}\n{STAGE}{SCORER}", cases(1)));
    for (told, expected) in [
        (with(""), "nothing to judge by"),
        (with("min_gain = 1.0"), "must be 0 or more, and below 1"),
        (with("min_score = 1.0"), "must be 0 or more, and below 1"),
        (with("max_drop = 0.0"), "must lie above 0, and be at most 1"),
        (with("min_gain = 0.1\nmax_failed = 1.0"), "must be 0 or more, and below 1"),
        (with("repeat = 0\nmin_gain = 0.1"), "must be at least 1"),
        (with("repeat = 2\nmin_gain = 0.1"), "every stage is greedy"),
        (with("pass_at_k = { k = 2, min = 0.5 }\npass_score = 0.5"), "`repeat` is 1"),
        (with("pass_at_k = { k = 1, min = 0.5 }"), "needs `pass_score`"),
        (wrong(&format!("min_gain = 0.1\n{}\n{SCORER}", cases(1))), "needs a stage"),
        (wrong(&format!("min_gain = 0.1\n{}\n{STAGE}", cases(1))), "needs a scorer"),
        (wrong(&format!("min_gain = 0.1\n{}\n{STAGE}{SCORER}weight = 0.0", cases(1))), "weight 0"),
        (wrong(&format!("min_gain = 0.1\n{}\n{STAGE}model = \"base\"\n{SCORER}", cases(1))), "no stage asks the view"),
        (
            wrong(&format!("min_gain = 0.1\n{}\n[[stage]]\nprompt = \"{{{{ config.tone }}}}\"\n{SCORER}", cases(1))),
            "stage 0: there is no `config.tone` (line 1, column 4)",
        ),
        (
            wrong(&format!(
                "min_gain = 0.1\n{}\n{STAGE}[[scorer]]\nkind = \"exact\"\ntarget = \"{{{{ prev_output }}}}\"",
                cases(1)
            )),
            "scorer `exact`: there is no `prev_output` here",
        ),
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_case_that_the_first_stage_can_not_be_asked_about_is_told_by_its_number() {
    let probe: Pipeline = probe(&format!("min_gain = 0.1\ncases = [{{ input = \"a\" }}, {{ inptu = \"b\" }}]\n{STAGE}{SCORER}"));
    let error = probe.survey(&NoFiles).unwrap_err();
    assert!(error.starts_with("case 2: stage 0 of ft: ") && error.contains("input"), "{error}");
}

#[test]
fn evidence_shows_the_cases_that_gained_least() {
    let found = judged(&of(8, "min_gain = 0.1"), |request| if number_of(request) == 3 { text("else") } else { gains(request) });
    let lowest = found.evidence["lowest_gains"].as_array().unwrap();
    assert_eq!(lowest.len(), 5);
    assert_eq!(lowest[0], json!({"case": 4, "gain": 0.0, "ft": "else", "base": "else"}) as Value);
}
