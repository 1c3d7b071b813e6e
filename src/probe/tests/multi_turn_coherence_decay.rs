use super::*;
use crate::probe::decay::LEAST;

/// Messages that a request's history holds.
fn messages(request: &Request) -> usize {
    match request.op.prompt() {
        Some(Prompt::Chat(chat)) => chat.messages.len(),
        _ => panic!("{request:?}"),
    }
}

/// The turn that a history ends at, from 1.
fn turn_of(request: &Request) -> usize {
    messages(request).div_ceil(2)
}

/// The number at the end of the first message.
fn opening(request: &Request) -> f64 {
    let Some(Prompt::Chat(chat)) = request.op.prompt() else { panic!("{request:?}") };
    chat.messages[0]["content"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// A divergence that only one direction has.
fn diverged(kl_reverse: f64) -> Answer {
    let Answer::NextTokenDist(mut dist) = moved(0.1, 1.0) else { unreachable!() };
    dist.divergence = dist.divergence.map(|divergence| Divergence { kl: 99.0, kl_reverse, ..divergence });
    Answer::NextTokenDist(dist)
}

/// A model whose KL(base ‖ ft) at a conversation's turn is told.
fn model(kl: impl Fn(f64, usize) -> f64) -> impl Fn(&Request) -> Result<Answer, RequestError> {
    move |request| {
        Ok(match request.op {
            Op::Generate { .. } => text(&format!("reply {}", turn_of(request))),
            _ => diverged(kl(opening(request), turn_of(request))),
        })
    }
}

fn found(keys: &str, kl: impl Fn(f64, usize) -> f64) -> Judgement {
    course_of(&probe::<MultiTurnCoherenceDecay>(keys), CoursePlan::default(), model(kl)).judge(&Court::PLAIN).judgement.unwrap()
}

/// KL of which half is left after so many turns.
fn halving(turns: f64) -> impl Fn(f64, usize) -> f64 {
    move |item, turn| 0.4 * (-(turn as f64 - 2.0) / (turns + 0.01 * item)).exp2()
}

#[test]
fn both_views_are_asked_after_what_the_adapter_said() {
    let probe: MultiTurnCoherenceDecay = probe("turns = 3\nprompts = [\"prompt 7\"]");
    let mut course = probe.start(&NoFiles, MODEL, CoursePlan::default()).unwrap();
    course.draw(1).unwrap();
    let model = model(|_, _| 0.1);
    let mut asked = Vec::new();
    loop {
        let round = course.ask();
        if round.is_empty() {
            break;
        }
        course.tell(round.iter().map(&model).collect());
        asked.push(round);
    }
    let shape: Vec<Vec<(&str, usize)>> =
        asked.iter().map(|round| round.iter().map(|r| (r.op.name(), messages(r))).collect()).collect();
    assert_eq!(shape, [vec![("generate", 1)], vec![("next_token_dist", 3), ("generate", 3)], vec![("next_token_dist", 5)]]);
    let Some(Prompt::Chat(chat)) = asked[2][0].op.prompt() else { panic!() };
    let roles: Vec<&str> = chat.messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"]);
    assert_eq!((chat.messages[1]["content"].as_str(), chat.messages[3]["content"].as_str()), (Some("reply 1"), Some("reply 2")));
    assert_ne!(chat.messages[2]["content"], chat.messages[4]["content"]);
    assert!(asked.iter().flatten().all(|r| r.view == View::Ft));
}

#[test]
fn what_lasts_passes_and_what_wears_off_fails() {
    let lasts = found(&prompts(6), halving(5.0));
    assert_eq!(lasts.verdict, Verdict::Pass, "{}", lasts.message);
    assert!(lasts.message.starts_with("the adapter's effect lasts") && lasts.message.contains("5.0 ["), "{}", lasts.message);
    let gone = found(&prompts(6), halving(0.7));
    assert_eq!(gone.verdict, Verdict::Fail);
    assert!(gone.message.contains("wears off"), "{}", gone.message);
    assert_eq!(gone.evidence["turn"], serde_json::json!([2, 3, 4]));
}

#[test]
fn a_half_life_at_the_threshold_is_neither() {
    let at = found(&prompts(8), |item, turn| 0.4 * (-(turn as f64 - 2.0) / (if item < 4.0 { 1.9 } else { 2.11 })).exp2());
    assert_eq!(at.verdict, Verdict::Inconclusive, "{}", at.message);
}

#[test]
fn flat_passes_growing_warns_and_zero_fails() {
    let flat = found(&prompts(6), |_, _| 0.2);
    assert_eq!(flat.verdict, Verdict::Pass);
    assert!(flat.message.starts_with("the adapter's effect held"), "{}", flat.message);
    let grows = found(&prompts(6), |item, turn| 0.1 * turn as f64 + 0.001 * item);
    assert_eq!(grows.verdict, Verdict::Warn);
    assert!(grows.message.contains("further from the base with every turn") && grows.score > Some(0.85), "{grows:?}");
    for kl in [0.0, 0.99 * LEAST] {
        let zero = found(&prompts(6), move |_, _| kl);
        assert_eq!(zero.verdict, Verdict::Fail);
        assert!(zero.message.starts_with("the adapter probably does nothing"), "{}", zero.message);
    }
    assert_eq!(found(&prompts(6), |_, _| 2.0 * LEAST).verdict, Verdict::Pass);
}

#[test]
fn conversations_that_are_not_moved_do_not_dilute_those_that_are() {
    let some = found(&prompts(12), |item, turn| if item < 6.0 { 0.0 } else { halving(0.7)(item, turn) });
    assert_eq!(some.verdict, Verdict::Fail, "{}", some.message);
    assert!(some.message.contains("6 of 12 conversations are not moved at all"), "{}", some.message);
    let few = found(&prompts(12), |item, _| if item < 8.0 { 0.0 } else { 0.3 });
    assert_eq!(few.verdict, Verdict::Inconclusive, "{}", few.message);
}

#[test]
fn none_one_two_and_one_too_few_give_no_verdict() {
    for count in [1, 2, MIN_ITEMS - 1] {
        assert_eq!(found(&prompts(count), |_, _| 0.2).verdict, Verdict::Inconclusive);
    }
    assert_eq!(found(&prompts(MIN_ITEMS), |_, _| 0.2).verdict, Verdict::Pass);
    let probe = probe::<MultiTurnCoherenceDecay>(&prompts(1));
    let none = probe.judge(&<MultiTurnCoherenceDecay as Probe>::Fold::default(), &Court::PLAIN);
    assert_eq!(none.verdict, Verdict::Inconclusive);
    let nan = found(&prompts(6), |item, _| if item > 4.0 { f64::NAN } else { 0.3 });
    assert_eq!((nan.verdict, nan.score), (Verdict::Inconclusive, None));
}

/// A context that some histories outgrow.
fn outgrown(full: impl Fn(&Request) -> bool) -> Ending {
    let answers = model(|_, _| 0.2);
    course_of(&probe::<MultiTurnCoherenceDecay>(&prompts(6)), CoursePlan::default(), |request| {
        if full(request) { Err(RequestError::TooLong { tokens: 600, context: 512 }) } else { answers(request) }
    })
    .judge(&Court::PLAIN)
}

#[test]
fn a_conversation_that_fills_the_context_counts_by_the_turns_before() {
    let at_four = outgrown(|r| opening(r) < 2.0 && turn_of(r) == 4).judgement.unwrap();
    assert_eq!(at_four.verdict, Verdict::Pass);
    assert!(
        at_four.message.contains("in 2 of 6 conversations the model's context was full before turn 4"),
        "{}",
        at_four.message
    );
    // What was asked at turn 3 has its answer, and there is no room for a reply.
    let no_room = outgrown(|r| turn_of(r) == 3 && matches!(r.op, Op::Generate { .. })).judgement.unwrap();
    assert!(no_room.message.contains("in 6 of 6 conversations"), "{}", no_room.message);
    assert_eq!(no_room.evidence["turn"], serde_json::json!([2, 3]));
}

#[test]
fn without_turns_two_and_three_a_conversation_is_an_error() {
    for turn in [1, 2, 3] {
        let ending = outgrown(|r| opening(r) < 1.0 && turn_of(r) == turn);
        assert!(ending.judgement.is_none() && ending.failed == 1);
        assert!(ending.errors[0].starts_with("item 1: the input has 600 tokens"), "{:?}", ending.errors);
    }
}

#[test]
fn a_model_without_turns_is_not_asked() {
    let probe: MultiTurnCoherenceDecay = probe(&prompts(1));
    assert!(probe.skip(MODEL).unwrap().contains("no chat template"));
    assert_eq!(probe.skip(ModelFacts { has_chat_template: true, ..MODEL }), None);
}

#[test]
fn a_conversation_begins_with_what_a_user_asks() {
    let refused = |toml: &str| probe::<MultiTurnCoherenceDecay>(toml).survey(&NoFiles).unwrap_err();
    let said = refused("prompts = [[{ role = \"user\", content = \"a\" }, { role = \"assistant\", content = \"b\" }]]");
    assert!(said.contains("the last message must be a user's"), "{said}");
    assert_eq!(refused("prompts = [\"\"]"), "item 1: `prompt` is empty");
    for keys in ["turns = 2", "turns = 0", "min_half_life = 0.0", "max_new_tokens = 0"] {
        assert!(toml::from_str::<MultiTurnCoherenceDecay>(&format!("prompts = []\n{keys}")).is_err(), "{keys}");
    }
}
