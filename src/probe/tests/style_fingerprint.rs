use super::*;

/// Short and plain, about another thing each time.
fn plain(i: usize) -> String {
    let things = ["stone", "river", "lamp", "road", "tree", "door", "boat", "hill"];
    let (one, other) = (things[i % 8], things[(i / 8 + 3 * i + 1) % 8]);
    format!("The {one} is old. The {other} is new and it is red. I see the {one}. It was here. We go on to the {other}.")
}

/// Long and winding, about another thing each time.
fn winding(i: usize) -> String {
    let things = ["stone", "river", "lamp", "road", "tree", "door", "boat", "hill"];
    let (one, other) = (things[i % 8], things[(i / 8 + 5 * i + 2) % 8]);
    format!(
        "Notwithstanding everything previously considered, {one}, by whatever circumstance, or misfortune, or (perhaps) deliberate intention, remained; and if {other}, whose significance nobody questioned, vanished, somebody would eventually complain - quietly, persistently, exhaustively!"
    )
}

fn reference() -> String {
    (0..40).map(|i| winding(i + 3)).collect::<Vec<_>>().join(" ")
}

fn keys(count: usize) -> String {
    format!("{}\nreference = '''{}'''", prompts(count), reference())
}

/// A prompt's number, with what each view writes after it.
fn course(keys: &str, ft: impl Fn(usize) -> String, base: impl Fn(usize) -> String) -> Ending {
    course_of(&probe::<StyleFingerprint>(keys), CoursePlan::default(), |request| {
        let item = number(request) as usize;
        Ok(text(&if request.view == View::Ft { ft(item) } else { base(item) }))
    })
    .judge(&Court::PLAIN)
}

fn found(keys: &str, ft: impl Fn(usize) -> String, base: impl Fn(usize) -> String) -> Judgement {
    course(keys, ft, base).judgement.unwrap()
}

#[test]
fn who_writes_like_the_reference_passes_and_who_writes_like_nobody_fails() {
    let learned = found(&keys(20), winding, plain);
    assert_eq!(learned.verdict, Verdict::Pass, "{}", learned.message);
    assert!(learned.criteria[0].estimate.value > 0.9 && learned.values.iter().all(|shift| *shift > 1.0), "{learned:?}");
    let away = found(&keys(20), plain, |i| if i % 2 == 0 { winding(i) } else { plain(i) });
    assert_eq!(away.verdict, Verdict::Fail, "{}", away.message);
    assert!(away.message.contains("does not go towards the reference"), "{}", away.message);
}

#[test]
fn half_of_the_way_is_the_same_direction() {
    let half = found(&keys(24), |i| if i % 2 == 0 { winding(i) } else { plain(i + 5) }, plain);
    assert_eq!(half.verdict, Verdict::Pass, "{}", half.message);
}

#[test]
fn the_same_texts_are_no_change_of_style() {
    let still = found(&keys(8), plain, plain);
    assert_eq!((still.verdict, still.score), (Verdict::Fail, Some(0.0)));
    assert_eq!(still.message, "no change of style: it writes the same texts as the base");
    assert_eq!(still.evidence["same_texts"], 8);
    // Other texts whose figures are the same: the words change places.
    let shuffled = found(&keys(8), |i| plain((i + 1) % 8), plain);
    assert_ne!(shuffled.verdict, Verdict::Pass, "{}", shuffled.message);
}

#[test]
fn other_words_by_chance_are_no_way_towards_the_reference() {
    // Base and adapter write alike and of other things: what is chance in the base's texts must not look like a direction.
    let verdicts: Vec<Judgement> =
        (0..6).map(|seed| found(&keys(16), |i| plain(7 * i + seed + 11), |i| plain(3 * i + seed))).collect();
    assert!(verdicts.iter().all(|found| found.verdict != Verdict::Pass), "{verdicts:#?}");
}

#[test]
fn a_reference_in_the_bases_own_style_shows_no_way() {
    let own: String = (0..60).map(|i| plain(3 * i + 1) + " ").collect();
    let found = found(&format!("{}\nreference = '''{own}'''", prompts(16)), winding, plain);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.message.contains("can't be told from what the base writes already"), "{}", found.message);
}

#[test]
fn one_two_and_one_too_few_prompts_give_no_verdict() {
    for count in [1, 2, MIN_ITEMS - 1] {
        assert_eq!(found(&keys(count), winding, plain).verdict, Verdict::Inconclusive, "{count}");
    }
    assert_eq!(found(&keys(MIN_ITEMS), winding, plain).verdict, Verdict::Pass);
    let probe = probe::<StyleFingerprint>(&keys(1));
    let none = probe.judge(&<StyleFingerprint as Probe>::Fold::default(), &Court::PLAIN);
    assert_eq!(none.verdict, Verdict::Inconclusive);
}

#[test]
fn equal_items_have_a_direction_without_an_interval_around_it() {
    let equal = found(&keys(6), |_| winding(0), |_| plain(0));
    assert_eq!(equal.verdict, Verdict::Pass, "{}", equal.message);
}

#[test]
fn a_generation_without_a_word_is_an_error_that_names_the_item() {
    for empty in ["", " \n", "..."] {
        let ending = course(&keys(6), |i| if i == 2 { empty.to_owned() } else { winding(i) }, plain);
        assert!(ending.judgement.is_none());
        assert_eq!(ending.errors, ["item 3: what ft wrote after it has no word, so it has no style"]);
    }
    let ending = course(&keys(6), winding, |i| if i == 0 { String::new() } else { plain(i) });
    assert_eq!(ending.errors, ["item 1: what base wrote after it has no word, so it has no style"]);
}

/// Rows of a file that is no file.
struct Paragraphs(Vec<serde_json::Value>);

impl OpenRows for Paragraphs {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        let rows = self.0.clone().into_iter().enumerate().map(|(index, value)| Ok(ItemRow { line: index + 1, value }));
        Ok(ItemRows { path: items.file.clone(), rows: Box::new(rows) })
    }
}

#[test]
fn a_reference_may_be_rows_of_a_file() {
    let probe: StyleFingerprint = probe("prompts = [\"a\"]\nreference = { file = \"voice.jsonl\" }");
    assert!(probe.reads_a_file());
    let texts = Paragraphs(vec![reference().into(), serde_json::json!({"text": winding(1)})]);
    assert_eq!(probe.survey(&texts).unwrap().items, 1);
    let wrong = Paragraphs(vec![reference().into(), serde_json::json!({"words": 3})]);
    assert_eq!(probe.survey(&wrong).unwrap_err(), "voice.jsonl:2: it is no text, and has no field `text` that is one");
}

#[test]
fn a_reference_of_a_few_words_is_refused() {
    let of = |words: usize| probe::<StyleFingerprint>(&format!("prompts = [\"a\"]\nreference = \"{}\"", "word ".repeat(words)));
    assert_eq!(of(99).survey(&NoFiles).unwrap_err(), "a reference of 99 words is too short: at least 100 are needed");
    assert!(of(100).survey(&NoFiles).is_ok());
    for keys in ["reference = 3", "reference = \"a\"\nmin_cosine = 1.0", "reference = \"a\"\nmax_new_tokens = 0"] {
        assert!(toml::from_str::<StyleFingerprint>(&format!("prompts = []\n{keys}")).is_err(), "{keys}");
    }
}
