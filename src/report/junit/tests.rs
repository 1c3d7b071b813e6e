use insta::assert_snapshot;
use roxmltree::Document;

use super::*;
use crate::report::sample;

#[test]
fn what_cannot_be_told_is_an_error() {
    assert_snapshot!(render(&sample::inconclusive()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="sway" tests="8" failures="0" errors="3" skipped="1" time="3.210">
      <testsuite name="sway" tests="2" failures="0" errors="1" skipped="0">
        <properties>
          <property name="sway_version" value="0.1.0"/>
          <property name="suite" value="probes/demo.toml"/>
          <property name="suite_digest" value="5e1f0c7a9b32d44f8a615e1f0c7a9b32d44f8a615e1f0c7a9b32d44f8a61"/>
          <property name="base" value="probes/demo/base"/>
          <property name="dtype" value="f32"/>
          <property name="device" value="cpu"/>
          <property name="base_digest" value="3f9a2c1b04de77aa12c03f9a2c1b04de77aa12c03f9a2c1b04de77aa12c0"/>
          <property name="tokenizer_digest" value="aa01bc3d5e6f70819223aa01bc3d5e6f70819223aa01bc3d5e6f70819223"/>
          <property name="adapter" value="probes/demo/healthy"/>
          <property name="adapter_digest" value="91ab03c4d5e6f708192091ab03c4d5e6f708192091ab03c4d5e6f7081920"/>
          <property name="score" value="0.8100"/>
        </properties>
        <testcase classname="sway" name="liveness"/>
        <testcase classname="sway" name="gate">
          <error type="inconclusive" message="nothing failed, but `moved` is inconclusive and `document` could not be measured">nothing failed, but `moved` is inconclusive and `document` could not be measured</error>
        </testcase>
      </testsuite>
      <testsuite name="sway.adherence" tests="1" failures="0" errors="1" skipped="0">
        <testcase classname="sway.adherence.delta_kl" name="moved">
          <error type="inconclusive" message="the move is above the threshold, but nothing says whether it is larger than a random adapter&apos;s">the move is above the threshold, but nothing says whether it is larger than a random adapter&apos;s
    mean_js 0.31 [0.26, 0.36], wanted above 0.02: pass
    no z: 2 of 8 draws gave a number, and it takes 3</error>
        </testcase>
      </testsuite>
      <testsuite name="sway.attribution" tests="2" failures="0" errors="0" skipped="0">
        <testcase classname="sway.attribution.paraphrase_invariance" name="facts"/>
        <testcase classname="sway.attribution.preference_flip" name="preferences"/>
      </testsuite>
      <testsuite name="sway.calibration" tests="2" failures="0" errors="1" skipped="0">
        <testcase classname="sway.calibration.leakage" name="document">
          <error type="error" message="no section could be measured">no section could be measured
    item 1: the prompt has 4,096 tokens and the model&apos;s context is 2,048
    item 2: the prompt has 4,096 tokens and the model&apos;s context is 2,048
    item 3: the prompt has 4,096 tokens and the model&apos;s context is 2,048
    item 4: the prompt has 4,096 tokens and the model&apos;s context is 2,048
    item 5: the prompt has 4,096 tokens and the model&apos;s context is 2,048
    item 6: the prompt has 4,096 tokens and the model&apos;s context is 2,048</error>
        </testcase>
        <testcase classname="sway.calibration.calibration_drift" name="held"/>
      </testsuite>
      <testsuite name="sway.ablation" tests="1" failures="0" errors="0" skipped="1">
        <testcase classname="sway.ablation.adapter_ablation" name="dose">
          <skipped message="not enabled"/>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_dead_adapter_fails_the_case_liveness() {
    let text = render(&sample::dead());
    let xml = Document::parse(&text).unwrap();
    let case = xml.descendants().find(|node| node.attribute("name") == Some("liveness")).unwrap();
    assert!(case.children().any(|node| node.has_tag_name("failure")));
}

#[test]
fn an_adapter_that_bf16_cannot_tell_from_dead_is_an_error() {
    let text = render(&sample::under_the_floor());
    let xml = Document::parse(&text).unwrap();
    let case = xml.descendants().find(|node| node.attribute("name") == Some("liveness")).unwrap();
    let error = case.children().find(|node| node.has_tag_name("error")).unwrap();
    assert_eq!(error.attribute("type"), Some("inconclusive"));
}

#[test]
fn a_score_that_is_too_low_fails_in_a_case_of_its_own() {
    let mut run = sample::healthy();
    run.gate.verdict = Verdict::Fail;
    run.gate.message = "the score 0.81 is below 0.9".to_owned();
    let text = render(&run);
    let xml = Document::parse(&text).unwrap();
    let failing: Vec<&str> = xml
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .filter_map(|node| node.parent()?.attribute("name"))
        .collect();
    assert_eq!(failing, ["gate"]);
    assert_eq!(xml.root_element().attribute("failures"), Some("1"));
}

#[test]
fn every_record_is_well_formed_and_its_counts_add_up() {
    for (name, run) in sample::all() {
        let text = render(&run);
        let xml = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = |tag: &str| xml.descendants().filter(|node| node.has_tag_name(tag)).count().to_string();
        for (attribute, tag) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
            assert_eq!(xml.root_element().attribute(attribute), Some(count(tag).as_str()), "{name}: {attribute}");
        }
    }
}

#[test]
fn a_name_comes_back_as_it_was_but_for_what_xml_cannot_hold() {
    let run = sample::hostile();
    let text = render(&run);
    let xml = Document::parse(&text).unwrap();
    let names: Vec<&str> =
        xml.descendants().filter(|node| node.has_tag_name("testcase")).filter_map(|node| node.attribute("name")).collect();
    for probe in &run.probes {
        let name = probe.name.replace(['\x1b', '\0'], "\u{FFFD}");
        assert!(names.contains(&name.as_str()), "{name:?} in {names:?}");
    }
}
