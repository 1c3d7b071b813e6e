use super::*;

const TOOL: &str = r#"tool = { name = "weather", parameters = { type = "object", properties = { city = { type = "string" }, days = { type = "integer" } }, required = ["city"] } }"#;

fn cases(count: usize) -> ToolUseFidelity {
    probe(&list("cases", count, |i| {
        format!(r#"{{ prompt = "case {i}", {TOOL}, tools = [{{ name = "clock" }}], gold_tool = "weather" }}"#)
    }))
}

fn calling(name: &str, arguments: &str) -> String {
    format!(r#"{{"name": "{name}", "arguments": {arguments}}}"#)
}

fn good() -> String {
    calling("weather", r#"{"city": "Ostrel"}"#)
}

/// What each view answers to each case.
fn found(count: usize, ft: impl Fn(usize) -> String, base: impl Fn(usize) -> String) -> Judgement {
    judged(&cases(count), |request| {
        let case = number(request) as usize;
        text(&if request.view == View::Ft { ft(case) } else { base(case) })
    })
}

#[test]
fn calls_that_are_kept_pass_from_as_many_cases_as_that_takes() {
    let kept = found(80, |_| good(), |_| good());
    assert_eq!(kept.verdict, Verdict::Pass, "{}", kept.message);
    assert_eq!((&kept.evidence["ft"]["gold_tool"], &kept.evidence["other_arguments"]), (&80.into(), &0.into()));
    assert_eq!(found(73, |_| good(), |_| good()).verdict, Verdict::Pass);
    let short = found(72, |_| good(), |_| good());
    assert_eq!(short.verdict, Verdict::Inconclusive);
    assert!(short.message.contains("about 75 items would settle it"), "{}", short.message);
}

#[test]
fn calls_that_are_lost_fail_and_are_named() {
    let lost = found(60, |i| if i < 30 { calling("weather", "{}") } else { good() }, |_| good());
    assert_eq!(lost.verdict, Verdict::Fail, "{}", lost.message);
    assert!(lost.message.starts_with("it lost calls that the base makes"), "{}", lost.message);
    assert_eq!(lost.evidence["first_lost"].as_array().unwrap().len(), 5);
    assert!(lost.evidence["first_lost"][0]["wrong"].as_str().unwrap().contains("city"), "{:?}", lost.evidence);
    assert!((lost.criteria[0].estimate.value - 0.5).abs() < 1e-12);
    assert!(lost.values.iter().filter(|change| **change < 0.0).count() == 30);
}

#[test]
fn a_drop_at_the_margin_is_open() {
    let at = found(100, |i| if i < 5 { "no".to_owned() } else { good() }, |_| good());
    assert_eq!(at.verdict, Verdict::Inconclusive, "{}", at.message);
}

#[test]
fn tools_that_are_not_there_fail() {
    let stray = found(
        100,
        |i| if i % 2 == 0 { calling("rocket", "{}") } else { good() },
        |i| if i % 2 == 0 { "no".into() } else { good() },
    );
    assert_eq!(stray.verdict, Verdict::Fail, "{}", stray.message);
    assert!(stray.message.starts_with("it calls tools that are not there"), "{}", stray.message);
    assert_eq!(stray.evidence["ft"]["outside"], 50);
    // Another tool that is allowed is neither outside nor the gold one.
    let other = found(100, |_| calling("clock", "{}"), |_| good());
    assert_eq!(other.verdict, Verdict::Pass, "{}", other.message);
    assert_eq!((&other.evidence["ft"]["outside"], &other.evidence["ft"]["gold_tool"]), (&0.into(), &0.into()));
}

#[test]
fn arguments_that_differ_are_evidence_and_no_fault() {
    let other = found(80, |i| if i < 20 { calling("weather", r#"{"city": "Venn"}"#) } else { good() }, |_| good());
    assert_eq!(other.verdict, Verdict::Pass);
    assert_eq!((&other.evidence["same_tool"], &other.evidence["other_arguments"]), (&80.into(), &20.into()));
}

#[test]
fn a_base_that_never_calls_is_said_plainly() {
    let learned = found(80, |_| good(), |_| "Ostrel is sunny.".to_owned());
    assert_eq!(learned.verdict, Verdict::Pass);
    assert!(learned.message.contains("the base makes no valid call at all, so there was none to lose"), "{}", learned.message);
    let neither = found(80, |_| "no".to_owned(), |_| "no".to_owned());
    assert_eq!((neither.verdict, neither.score), (Verdict::Inconclusive, None));
    assert!(neither.message.contains("neither makes a valid call"), "{}", neither.message);
    assert_eq!(neither.criteria.len(), 1, "a share of no calls is none");
}

#[test]
fn one_two_and_one_too_few_cases_give_no_verdict() {
    for count in [1, 2, MIN_ITEMS - 1] {
        let few = found(count, |_| "no".to_owned(), |_| good());
        assert_eq!(few.verdict, Verdict::Inconclusive, "{}", few.message);
    }
    assert_eq!(found(MIN_ITEMS, |_| "no".to_owned(), |_| good()).verdict, Verdict::Fail);
    let none = cases(1).judge(&<ToolUseFidelity as Probe>::Fold::default(), &Court::PLAIN);
    assert_eq!(none.verdict, Verdict::Inconclusive);
}

#[test]
fn a_conversation_is_asked_with_its_tools() {
    let probe: ToolUseFidelity = probe(&format!(
        r#"cases = [{{ messages = [{{ role = "user", content = "hi" }}], {TOOL}, tools = [{{ type = "function", function = {{ name = "clock" }} }}] }}]"#
    ));
    let case = probe.items().open(&NoFiles).unwrap().next().unwrap().unwrap();
    let asked = probe.ask(&case, &[]);
    assert_eq!(asked.iter().map(|request| request.view).collect::<Vec<_>>(), [View::Ft, View::Base]);
    let Some(Prompt::Chat(chat)) = asked[0].op.prompt() else { panic!() };
    let names: Vec<&str> = chat.tools.iter().flatten().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["weather", "clock"]);
}

#[test]
fn a_case_that_can_not_be_judged_is_refused() {
    let refused = |case: &str| match toml::from_str::<ToolUseFidelity>(&format!("cases = [{case}]")) {
        Err(error) => error.to_string(),
        Ok(probe) => probe.survey(&NoFiles).unwrap_err(),
    };
    assert!(refused(r#"{ prompt = "a", tool = { parameters = {} } }"#).contains("a tool needs a `name`"));
    assert!(refused(r#"{ prompt = "a" }"#).contains("missing field `tool`"));
    assert!(
        refused(&format!(r#"{{ prompt = "a", {TOOL}, gold_tool = "clock" }}"#)).contains("`clock`, which is none of the tools")
    );
    assert!(
        refused(&format!(r#"{{ prompt = "a", {TOOL}, tools = [{{ name = "weather" }}] }}"#)).contains("two tools are called")
    );
    assert!(
        refused(r#"{ prompt = "a", tool = { name = "f", parameters = { "$ref" = "http://127.0.0.1:1/s" } } }"#)
            .contains("no JSON schema")
    );
    assert_eq!(refused(&format!(r#"{{ prompt = "", {TOOL} }}"#)), "item 1: `prompt` is empty");
    for keys in ["max_drop = 0.0", "max_outside = 1.0", "max_new_tokens = 0"] {
        assert!(toml::from_str::<ToolUseFidelity>(&format!("cases = []\n{keys}")).is_err(), "{keys}");
    }
}
