//! Courses that stop and go on, and courses of parts: whatever the windows, the stops and the parts, one course is all they come to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A source of so many prompts.
struct Many(usize);

struct Rows {
    next: usize,
    count: usize,
}

impl SourceRows for Rows {
    fn next(&mut self) -> Option<Result<Value, String>> {
        (self.next < self.count).then(|| {
            self.next += 1;
            let (number, cluster) = (self.next - 1, self.next % 5);
            // Two of three name a group where any does.
            Ok(match cluster {
                0..3 => json!({ "prompt": format!("prompt {number}"), "cluster": format!("group {}", number / 3) }),
                _ => json!({ "prompt": format!("prompt {number}") }),
            })
        })
    }

    fn refuse(&mut self, why: &str) -> Result<(), String> {
        Err(why.to_owned())
    }

    fn mark(&self) -> RowMark {
        RowMark(json!(self.next))
    }
}

impl OpenRows for Many {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        Err(format!("{} was opened", items.file))
    }

    fn open_sources(&self, _: &SourceItems, after: Option<&RowMark>) -> Result<Box<dyn SourceRows>, String> {
        let next = after.map_or(0, |RowMark(mark)| mark.as_u64().unwrap() as usize);
        Ok(Box::new(Rows { next, count: self.0 }))
    }
}

/// Plays the model: figures of a prompt's number, of the view, and of whether there is a template.
fn answer(request: &Request) -> Answer {
    let prompt = request.op.prompt().unwrap();
    let number: f64 = prompt.words().rsplit(' ').next().unwrap().parse().unwrap();
    let view = match request.view {
        View::Null(seed) => seed as f64 / 1000.0,
        _ => 0.0,
    };
    let template = if matches!(prompt, Prompt::Text(_)) { 0.01 } else { 0.0 };
    moved(0.05 + (number * 0.7).sin().abs() / 10.0 + view * (number + 1.0).ln() + template, 1.0 + number / 50.0)
}

/// Takes a course through windows of these sizes, the last one again and again; gives whether it came to its end.
fn carry(course: &mut dyn Course, windows: &[usize]) -> bool {
    for &window in windows {
        if course.draw(window.max(1)).unwrap() == 0 {
            return true;
        }
        loop {
            let asked = course.ask();
            if asked.is_empty() {
                break;
            }
            course.tell(asked.iter().map(|request| Ok(answer(request))).collect());
        }
    }
    false
}

fn to_its_end(course: &mut dyn Course, window: usize) {
    while !carry(course, &[window]) {}
}

/// All that a course ends with.
fn told(course: &dyn Course) -> String {
    let calibration = course.calibration();
    let court = Court { calibration: calibration.as_ref(), q: Some(0.01), ..Court::PLAIN };
    format!("{:?} {:?} {} {} {}", course.judge(&court), calibration, course.measured(), course.asked_raw(), course.is_over())
}

fn plan() -> CoursePlan {
    let lot = Some(Lot { wanted: 6, seed: 4 });
    CoursePlan { nulls: vec![1, 2, 3, 4], lot, chat: ChatForm::Both, min_items: 5, ..CoursePlan::default() }
}

fn kinds() -> Vec<Box<dyn AnyProbe>> {
    vec![
        Box::new(probe::<DeltaKl>("prompts = { source = \"many\" }")),
        Box::new(probe::<DeltaKl>("prompts = { source = \"many\", limit = 37 }\ndivergence = \"kl\"")),
    ]
}

/// One whose measurements are folded in their order, and whose prompts have no groups.
fn ordered() -> Box<dyn AnyProbe> {
    Box::new(probe::<AdapterAblation>(&prompts(23)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_course_goes_on_after_any_stop(
        stops in prop::collection::vec(prop::collection::vec(1_usize..9, 0..4), 0..4), count in 5_usize..60, last in 1_usize..9,
    ) {
        for probe in kinds().into_iter().chain([ordered()]) {
            let rows = Many(count);
            let mut whole = probe.start(&rows, MODEL, plan()).unwrap();
            to_its_end(&mut *whole, 7);
            let mut after = None;
            for windows in &stops {
                let mut course = probe.start(&rows, MODEL, CoursePlan { after, ..plan() }).unwrap();
                carry(&mut *course, windows);
                after = Some(course.state().unwrap());
            }
            let mut course = probe.start(&rows, MODEL, CoursePlan { after, ..plan() }).unwrap();
            to_its_end(&mut *course, last);
            prop_assert_eq!(told(&*course), told(&*whole));
        }
    }

    #[test]
    fn parts_are_the_course_that_one_machine_would_have_ended_with(
        parts in 1_u32..7, count in 5_usize..60, window in 1_usize..9, stop in prop::collection::vec(1_usize..5, 0..4),
    ) {
        for probe in kinds().into_iter().chain([ordered()]) {
            let rows = Many(count);
            let mut whole = probe.start(&rows, MODEL, plan()).unwrap();
            to_its_end(&mut *whole, 7);
            let mut states: Vec<Vec<u8>> = Vec::new();
            for index in 1..=parts {
                let plan = || CoursePlan { shard: Some(Shard { index, count: parts }), ..plan() };
                let mut course = probe.start(&rows, MODEL, plan()).unwrap();
                carry(&mut *course, &stop);
                let after = Some(course.state().unwrap());
                let mut course = probe.start(&rows, MODEL, CoursePlan { after, ..plan() }).unwrap();
                to_its_end(&mut *course, window);
                states.insert(0, course.state().unwrap());
            }
            let joined = probe.join(&rows, MODEL, plan(), &states).unwrap();
            prop_assert_eq!(told(&*joined), told(&*whole));
        }
    }
}

/// What a part of the course comes to.
fn part(probe: &dyn AnyProbe, rows: &Many, index: u32, count: u32) -> Vec<u8> {
    let shard = Some(Shard { index, count });
    let mut course = probe.start(rows, MODEL, CoursePlan { shard, ..plan() }).unwrap();
    to_its_end(&mut *course, 8);
    course.state().unwrap()
}

#[test]
fn parts_that_are_missing_or_there_twice_or_of_other_items_make_no_whole() {
    for probe in kinds().into_iter().chain([ordered()]) {
        let rows = Many(30);
        let parts: Vec<Vec<u8>> = (1..=3).map(|index| part(&*probe, &rows, index, 3)).collect();
        let refused = |parts: &[Vec<u8>]| probe.join(&rows, MODEL, plan(), parts).err().unwrap_or_default();
        assert_eq!(refused(&parts), "");
        assert!(refused(&parts[..2]).contains("one part is missing"), "{}", refused(&parts[..2]));
        assert!(refused(&[&parts[..], &parts[..1]].concat()).contains("is there twice"));
        let mut cut = parts.clone();
        cut[1].pop();
        assert!(refused(&cut).contains("can't be read"), "{}", refused(&cut));
        let begun = probe.start(&rows, MODEL, CoursePlan { shard: Some(Shard { index: 3, count: 3 }), ..plan() });
        let begun = begun.unwrap().state().unwrap();
        assert!(refused(&[&parts[..2], &[begun]].concat()).contains("did not come to its end"));
    }
    let streamed = &kinds()[0];
    let parts: Vec<Vec<u8>> = (1..=3).map(|index| part(&**streamed, &Many(if index == 2 { 31 } else { 30 }), index, 3)).collect();
    let refused = streamed.join(&Many(30), MODEL, plan(), &parts).err().unwrap();
    assert!(refused.contains("the parts saw other items"), "{refused}");
}

mod a_test_that_stops_early {
    use super::*;

    fn plan() -> CoursePlan {
        CoursePlan { stops_early: true, chat: ChatForm::AsWritten, ..super::plan() }
    }

    fn course(keys: &str, windows: usize, js: impl Fn(f64) -> Result<f64, RequestError>) -> Box<dyn Course> {
        let probe = probe::<DeltaKl>(&format!("prompts = {{ source = \"many\" }}\n{keys}"));
        let mut course = probe.start(&Ungrouped, MODEL, plan()).unwrap();
        while course.draw(windows).unwrap() > 0 {
            loop {
                let asked = course.ask();
                if asked.is_empty() {
                    break;
                }
                course.tell(asked.iter().map(|request| js(number(request)).map(|js| moved(js, 1.0))).collect());
            }
        }
        course
    }

    /// A thousand prompts, none of them in a group.
    struct Ungrouped;

    impl OpenRows for Ungrouped {
        fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
            Err(format!("{} was opened", items.file))
        }

        fn open_sources(&self, _: &SourceItems, _: Option<&RowMark>) -> Result<Box<dyn SourceRows>, String> {
            struct Rows(usize);
            impl SourceRows for Rows {
                fn next(&mut self) -> Option<Result<Value, String>> {
                    self.0 += 1;
                    (self.0 <= 1000).then(|| Ok(json!(format!("prompt {}", self.0 - 1))))
                }

                fn refuse(&mut self, why: &str) -> Result<(), String> {
                    Err(why.to_owned())
                }

                fn mark(&self) -> RowMark {
                    RowMark(json!(self.0))
                }
            }
            Ok(Box::new(Rows(0)))
        }
    }

    /// Between 0.02 and 0.1 above a threshold of 0.1, mostly.
    fn above(number: f64) -> f64 {
        0.16 + 0.04 * (number * 1.3).sin()
    }

    #[test]
    fn it_ends_where_its_verdict_is_settled_whatever_the_window() {
        let ended = |windows| {
            let course = course("threshold = 0.1", windows, |number| Ok(above(number)));
            let calibration = course.calibration().unwrap();
            assert_eq!(calibration.items, 6, "of the items that were measured, as many as were wanted");
            told(&*course)
        };
        let one_by_one = ended(1);
        assert_eq!(ended(256), one_by_one);
        assert_eq!(ended(7), one_by_one);
        let judged = course("threshold = 0.1", 64, |number| Ok(above(number))).judge(&Court::PLAIN).judgement.unwrap();
        let estimate = &judged.criteria[0].estimate;
        assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.message);
        assert!((5..200).contains(&estimate.n), "{}", estimate.n);
        let [low, high] = estimate.interval.unwrap();
        assert!(low >= 0.1 && low <= estimate.value && estimate.value <= high, "{low} {high}");
        assert_eq!(judged.evidence["sequential_test"]["name"], "betting");
        assert!(judged.message.contains("prompts settled"), "{}", judged.message);
    }

    #[test]
    fn a_mean_below_the_threshold_fails_and_one_at_it_is_left_open_by_all_items() {
        let below = course("threshold = 0.3", 64, |number| Ok(above(number))).judge(&Court::PLAIN).judgement.unwrap();
        assert_eq!(below.verdict, Verdict::Fail, "{}", below.message);
        assert!(below.criteria[0].estimate.interval.unwrap()[1] <= 0.3);
        let at = course("threshold = 0.16", 64, |number| Ok(above(number))).judge(&Court::PLAIN).judgement.unwrap();
        assert_eq!((at.verdict, at.criteria[0].estimate.n), (Verdict::Inconclusive, 1000), "{}", at.message);
    }

    #[test]
    fn no_end_is_known_to_kl_and_it_looks_at_two_hundred_items_before_it_says_anything() {
        let keys = "threshold = 0.2\ndivergence = \"kl\"";
        let judged = course(keys, 64, |number| Ok(above(number))).judge(&Court::PLAIN).judgement.unwrap();
        assert_eq!((judged.verdict, judged.criteria[0].estimate.n), (Verdict::Pass, 200), "{}", judged.message);
        assert_eq!(judged.evidence["sequential_test"]["name"], "asymptotic_confidence_sequence");
    }

    #[test]
    fn what_fails_behind_the_item_that_settled_it_does_not_count_and_what_fails_before_it_does() {
        let failed = || Err(RequestError::EmptyPrompt);
        let at = |bad: f64| {
            course(
                "threshold = 0.1",
                256,
                move |number| if number.total_cmp(&bad).is_eq() { failed() } else { Ok(above(number)) },
            )
        };
        assert!(at(250.0).judge(&Court::PLAIN).judgement.is_some());
        let ending = at(1.0).judge(&Court::PLAIN);
        assert!(ending.judgement.is_none() && ending.failed == 1, "{ending:?}");
    }

    #[test]
    fn prompts_in_groups_are_no_independent_items() {
        let probe = probe::<DeltaKl>("prompts = { source = \"many\" }");
        let mut course = probe.start(&Many(50), MODEL, plan()).unwrap();
        to_its_end(&mut *course, 5);
        let judged = course.judge(&Court::PLAIN).judgement.unwrap();
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        assert!(judged.message.contains("leave `stop_when` or `cluster` out"), "{}", judged.message);
    }
}
