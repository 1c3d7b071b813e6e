//! Items that come in groups: the group is the unit of inference.

use super::*;

/// Prompts in so many groups of so many.
fn grouped(groups: usize, of: usize) -> String {
    list("prompts", groups * of, |i| format!("{{ prompt = \"prompt {i}\", cluster = \"group {}\" }}", i / of))
}

fn delta_kl(toml: &str, js: impl Fn(f64) -> f64) -> Judgement {
    judged(&probe::<DeltaKl>(toml), |request| moved(js(number(request)), 1.0))
}

fn width(judgement: &Judgement) -> f64 {
    let [low, high] = judgement.criteria[0].estimate.interval.unwrap();
    high - low
}

#[test]
fn what_is_alike_in_a_group_counts_once() {
    // Six groups of five that are the same within: as six prompts, and not as thirty.
    let js = |group: f64| 0.2 + 0.05 * group;
    let thirty = delta_kl(&prompts(30), |i| js((i / 5.0).floor()));
    let groups = delta_kl(&grouped(6, 5), |i| js((i / 5.0).floor()));
    let six = delta_kl(&prompts(6), js);
    let estimate = &groups.criteria[0].estimate;
    assert_eq!((estimate.n, estimate.clusters), (30, Some(6)));
    assert!((width(&groups) - width(&six)).abs() < 1e-9, "{} {}", width(&groups), width(&six));
    assert!(width(&thirty) < 0.6 * width(&groups));
    assert!(groups.message.contains("] over 6 clusters"), "{}", groups.message);
}

#[test]
fn fewer_groups_than_items_are_needed_are_too_few() {
    let four = delta_kl(&grouped(4, 10), |_| 0.4);
    assert_eq!(four.verdict, Verdict::Inconclusive);
    assert!(four.message.contains("4 clusters are too few for a verdict, which needs 5"), "{}", four.message);
    assert_eq!(delta_kl(&grouped(5, 10), |_| 0.4).verdict, Verdict::Pass);
    assert_eq!(delta_kl(&grouped(1, 40), |_| 0.4).verdict, Verdict::Inconclusive, "one group has no interval");
}

#[test]
fn an_item_without_a_name_is_a_group_of_its_own() {
    let some =
        "prompts = [\"p 0\", { prompt = \"p 1\", cluster = \"a\" }, { prompt = \"p 2\", cluster = \"a\" }, \"p 3\", \"p 4\"]";
    assert_eq!(delta_kl(some, |i| 0.3 + 0.01 * i).criteria[0].estimate.clusters, Some(4));
    assert_eq!(delta_kl(&prompts(5), |i| 0.3 + 0.01 * i).criteria[0].estimate.clusters, None);
}

#[test]
fn a_share_of_some_items_counts_the_groups_of_these() {
    // Ten groups of three; the base is wrong in the first six, and the adapter mends these.
    let triples = list("triples", 30, |i| {
        format!("{{ prompt = \"prompt {i}\", chosen = \" yes\", rejected = \" no\", cluster = \"group {}\" }}", i / 3)
    });
    let answer = |request: &Request| {
        let Op::LogprobOf { completion, .. } = &request.op else { panic!("{request:?}") };
        let right = request.view == View::Ft || number(request) >= 18.0;
        logprob(if (completion == " yes") == right { -1.0 } else { -2.0 })
    };
    let found = judged(&probe::<PreferenceFlip>(&triples), answer);
    let estimate = &found.criteria[0].estimate;
    assert_eq!((estimate.n, estimate.clusters, estimate.value.to_bits()), (18, Some(6), 1.0_f64.to_bits()));
    // All hit: each group may be but one item, and six of six leave 0.54.
    assert!((estimate.interval.unwrap()[0] - 0.025_f64.powf(1.0 / 6.0)).abs() < 1e-9, "{:?}", estimate.interval);
    assert_eq!(found.verdict, Verdict::Inconclusive);
}

#[test]
fn sign_flips_take_groups_as_wholes() {
    let cases = |cluster: &dyn Fn(usize) -> usize| {
        list("cases", 8, |i| {
            format!("{{ prompt = \"p {i}\", gold = \" g\", paraphrases = [\"q {i}\"], cluster = \"{}\" }}", cluster(i))
        })
    };
    let lifted = |request: &Request| logprob(if request.view == View::Ft { -1.0 - 0.01 * number(request) } else { -3.0 });
    let p = |toml: &str| judged(&probe::<ParaphraseInvariance>(toml), lifted).p_paired.unwrap();
    // All above zero: of 2^units patterns one is as far out.
    assert!((p(&cases(&|i| i)).greater - 1.0 / 256.0).abs() < 1e-12);
    assert!((p(&cases(&|i| i / 2)).greater - 1.0 / 16.0).abs() < 1e-12 && p(&cases(&|i| i / 2)).exact);
}

#[test]
fn a_kind_that_makes_no_use_of_groups_refuses_them() {
    let case = "cases = [{ prompt = \"p\", tool = { name = \"t\", parameters = { type = \"object\" } }, cluster = \"a\" }]";
    let refused = toml::from_str::<ToolUseFidelity>(case).err().unwrap().to_string();
    assert!(refused.contains("this kind makes no use of `cluster`"), "{refused}");
    for prompt in
        ["{ prompt = \"p\", cluster = \"a\" }", "{ messages = [{ role = \"user\", content = \"p\" }], cluster = \"a\" }"]
    {
        let given = format!("prompts = [{prompt}]");
        assert!(
            toml::from_str::<PromptCollapse>(&given).is_err() && toml::from_str::<AdapterAblation>(&given).is_err(),
            "{prompt}"
        );
        assert!(toml::from_str::<DeltaKl>(&given).is_ok(), "{prompt}");
    }
    assert!(toml::from_str::<Leakage>("sections = [{ text = \"a b c\", cluster = \"a\" }]").is_err());
}

/// One file, of these rows.
struct File(Vec<serde_json::Value>);

impl OpenRows for File {
    fn open(&self, _: &FileItems) -> Result<ItemRows, String> {
        let rows = self.0.clone().into_iter().enumerate().map(|(i, value)| Ok(ItemRow { line: i + 1, value }));
        Ok(ItemRows { path: "rows.jsonl".to_owned(), rows: Box::new(rows) })
    }
}

#[test]
fn rows_of_a_file_name_their_group_whatever_field_holds_the_text() {
    let rows = File(vec![
        serde_json::json!({"question": "a", "cluster": "one"}),
        serde_json::json!({"question": "b", "cluster": null}),
        serde_json::json!({"question": "c"}),
    ]);
    let items = "{ file = \"rows.jsonl\", field = \"question\" }";
    let clusters: Vec<Option<String>> = probe::<DeltaKl>(&format!("prompts = {items}"))
        .open(&rows)
        .unwrap()
        .map(|item| item.unwrap().cluster().and_then(Option::take))
        .collect();
    assert_eq!(clusters, [Some("one".to_owned()), None, None]);
    let refused = probe::<PromptCollapse>(&format!("prompts = {items}")).open(&rows).unwrap().next().unwrap().unwrap_err();
    assert!(refused.starts_with("rows.jsonl:1: this kind makes no use of `cluster`"), "{refused}");
    let number = File(vec![serde_json::json!({"question": "a", "cluster": 1})]);
    let refused = probe::<DeltaKl>(&format!("prompts = {items}")).open(&number).unwrap().next().unwrap().unwrap_err();
    assert!(refused.contains("`cluster` must be a string, not 1"), "{refused}");
}
