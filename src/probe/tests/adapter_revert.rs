use super::*;
use crate::request::{Embedder, Embedding};

/// Cases with a gold answer and two paraphrases each.
fn cases(count: usize) -> String {
    list("cases", count, |i| {
        format!("{{ prompt = \"case {i}\", gold = \" gold {i}\", paraphrases = [\"one {i}\", \"two {i}\"] }}")
    })
}

/// A text as a vector: the gold answer's, the base's, or something else.
fn place(text: &str) -> Vec<f32> {
    match text.split(' ').next().unwrap_or_default() {
        "gold" => vec![1.0, 0.0, 0.1],
        "base" => vec![0.0, 1.0, 0.1],
        // A little nearer to the gold, and a little nearer to the base.
        "nearly" => vec![0.6, 0.5, 0.1],
        "hardly" => vec![0.5, 0.6, 0.1],
        "between" => vec![0.5, 0.5, 0.1],
        "nothing" => vec![0.0; 3],
        "nan" => vec![f32::NAN; 3],
        other => panic!("{other}"),
    }
}

fn sentence(embedder: &Embedder) -> bool {
    matches!(embedder, Embedder::Sentence(name) if name == "model")
}

const MODEL: &str = "embedder = \"model\"";

fn answer(request: &Request, says: impl Fn(&str, usize, View) -> &'static str, place: impl Fn(&str) -> Vec<f32>) -> Answer {
    match &request.op {
        Op::Generate { .. } => {
            let subject = request.op.subject();
            let (which, number) = subject.rsplit_once(' ').unwrap();
            text(says(which, number.parse().unwrap(), request.view))
        }
        Op::Embed { text, .. } => {
            assert_eq!(request.view, View::Base);
            Answer::Embedding(Embedding { embedding: place(text), num_tokens: 2 })
        }
        other => panic!("{other:?}"),
    }
}

fn found(keys: &str, ft: impl Fn(&str, usize) -> &'static str) -> Judgement {
    judged(&probe::<AdapterRevert>(keys), |request| {
        if let Op::Embed { embedder, .. } = &request.op {
            assert!(sentence(embedder) || !keys.contains(MODEL));
        }
        answer(request, |which, number, view| if view == View::Base { "base it is." } else { ft(which, number) }, place)
    })
}

#[test]
fn who_keeps_the_gold_answer_passes_and_who_answers_as_the_base_does_fails() {
    let keys = format!("{}\n{MODEL}", cases(16));
    let kept = found(&keys, |_, _| "gold it is.");
    assert_eq!(kept.verdict, Verdict::Pass, "{}", kept.message);
    assert_eq!(
        (kept.criteria[0].name.as_str(), kept.criteria[0].estimate.value, kept.criteria[0].good_side.as_str()),
        ("revert_rate", 0.0, "below")
    );
    assert_eq!(
        (&kept.evidence["pairs"], &kept.evidence["trivial"], &kept.evidence["reverted"]),
        (&32.into(), &0.into(), &0.into())
    );
    assert!(kept.evidence["mean_cos_ft_gold"].as_f64() > Some(0.99) && kept.evidence["mean_cos_ft_base"].as_f64() < Some(0.1));
    let lost = found(&keys, |_, _| "base it is.");
    assert_eq!((lost.verdict, lost.score), (Verdict::Fail, Some(0.0)));
    assert!(lost.message.contains("it falls back to the base's answers: 32 of 32"), "{}", lost.message);
    assert_eq!(lost.evidence["examples"][0]["ft"], "base it is.");
    assert_eq!(lost.evidence["examples"].as_array().unwrap().len(), 5);
}

#[test]
fn the_case_is_the_unit_and_its_share_is_what_counts() {
    let keys = format!("{}\n{MODEL}", cases(8));
    // One paraphrase of two in every second case.
    let some = found(&keys, |which, number| if which == "two" && number.is_multiple_of(2) { "hardly so." } else { "nearly so." });
    assert_eq!(some.values, [0.5, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0]);
    assert_eq!((some.criteria[0].estimate.value, some.criteria[0].estimate.n), (0.25, 8));
    assert_eq!(some.verdict, Verdict::Inconclusive, "at the threshold");
    let point = Court { decide: Decide::Point, ..Court::PLAIN };
    let decided = course_of(&probe::<AdapterRevert>(&keys), CoursePlan::default(), |request| {
        let says = |which: &str, number: usize, view| match (view, which) {
            (View::Base, _) => "base it is.",
            (_, "two") if number.is_multiple_of(2) => "hardly so.",
            _ => "nearly so.",
        };
        Ok(answer(request, says, place))
    });
    assert_eq!(decided.judge(&point).judgement.unwrap().verdict, Verdict::Fail, "at the threshold is not below it");
}

#[test]
fn as_near_to_the_one_as_to_the_other_has_not_reverted() {
    let even = found(&format!("{}\n{MODEL}", cases(16)), |_, _| "between both.");
    assert_eq!((even.verdict, &even.evidence["reverted"]), (Verdict::Pass, &0.into()), "{}", even.message);
}

#[test]
fn few_cases_that_are_all_alike_are_no_certainty() {
    let of = |count: usize| found(&format!("{}\n{MODEL}", cases(count)), |_, _| "gold it is.");
    // 1 − 0.025^(1/n) < 0.25 from n = 13 on.
    assert_eq!(of(12).verdict, Verdict::Inconclusive);
    assert_eq!(of(12).criteria[0].items_to_settle, Some(13));
    assert_eq!(of(13).verdict, Verdict::Pass);
    for few in [1, 2, 4] {
        let found = of(few);
        assert_eq!(found.verdict, Verdict::Inconclusive);
        assert!(found.message.contains("too few for a verdict, which needs 5"), "{}", found.message);
    }
    let none = probe::<AdapterRevert>(MODEL_ONLY).judge(&<AdapterRevert as Probe>::Fold::default(), &Court::PLAIN);
    assert_eq!((none.verdict, none.message.as_str()), (Verdict::Inconclusive, "no case was measured"));
}

const MODEL_ONLY: &str = "cases = []\nembedder = \"model\"";

#[test]
fn what_the_base_answers_as_the_gold_does_is_left_out() {
    let keys = format!("{}\n{MODEL}", cases(16));
    let base = |which: &str, number: usize, view: View| match (view, which) {
        (View::Base, "one") => "gold it is.",
        (View::Base, _) if number < 2 => "gold it is.",
        _ => "base it is.",
    };
    let some = judged(&probe::<AdapterRevert>(&keys), |request| answer(request, base, place));
    assert_eq!((&some.evidence["trivial"], &some.evidence["reverted"]), (&18.into(), &14.into()));
    assert_eq!(some.values, [1.0; 14], "two cases have nothing left");
    assert!(
        some.message.contains("18 were left out, to which the base answers as the gold does (cosine above 0.75)"),
        "{}",
        some.message
    );
    let all = judged(&probe::<AdapterRevert>(&keys), |request| answer(request, |_, _, _| "gold it is.", place));
    assert_eq!((all.verdict, all.score, all.criteria.len()), (Verdict::Inconclusive, None, 0));
    assert_eq!(
        all.message,
        "there is nothing to fall back from: to 32 of 32 paraphrases the base answers as the gold does already (cosine above 0.75)"
    );
    // At the threshold is not above it.
    let near = |text: &str| if text.starts_with("gold") { vec![1.0, 0.0] } else { vec![0.5, 0.75_f32.sqrt()] };
    let at = |trivial: &str| {
        judged(&probe::<AdapterRevert>(&format!("{keys}\ntrivial = {trivial}")), |request| {
            answer(request, |_, _, view| if view == View::Base { "base it is." } else { "gold it is." }, near)
        })
    };
    assert_eq!((&at("0.501").evidence["trivial"], &at("0.499").evidence["trivial"]), (&0.into(), &32.into()));
}

#[test]
fn a_pair_without_a_cosine_is_left_out_and_said() {
    let keys = format!("{}\n{MODEL}", cases(16));
    for nothing in ["nothing here.", "nan here."] {
        let some = found(&keys, |which, _| if which == "one" { nothing } else { "gold it is." });
        assert_eq!((&some.evidence["without_cosine"], some.verdict), (&16.into(), Verdict::Pass), "{}", some.message);
        assert!(some.message.contains("16 have no cosine"), "{}", some.message);
        let all = found(&keys, |_, _| nothing);
        assert_eq!(all.verdict, Verdict::Inconclusive);
        assert!(all.message.contains("none of 32 pairs of answers has a cosine"), "{}", all.message);
    }
}

/// Every vector has much in common with every other, as hidden states have.
#[test]
fn embeddings_of_the_base_are_taken_from_their_mean_and_those_of_a_sentence_model_are_not() {
    let shifted =
        |text: &str| -> Vec<f32> { place(text).iter().zip([20.0, 20.0, 20.0]).map(|(value, all)| value + all).collect() };
    let says = |which: &str, _: usize, view: View| match (view, which) {
        (View::Base, _) => "base it is.",
        (_, "one") => "hardly so.",
        _ => "gold it is.",
    };
    let of = |keys: &str| judged(&probe::<AdapterRevert>(keys), |request| answer(request, says, shifted));
    let own = of(&cases(16));
    assert_eq!(
        (&own.evidence["centred"], &own.evidence["trivial"], &own.evidence["reverted"]),
        (&true.into(), &0.into(), &16.into())
    );
    assert!(own.evidence["mean_cos_base_gold"].as_f64() < Some(0.0), "{own:?}");
    let sentence = of(&format!("{}\n{MODEL}", cases(16)));
    assert_eq!((&sentence.evidence["centred"], &sentence.evidence["trivial"]), (&false.into(), &32.into()));
    // Texts that are all embedded as one have nothing left once their mean is taken.
    let one = judged(&probe::<AdapterRevert>(&cases(6)), |request| answer(request, says, |_| vec![0.1, 0.7, 20.0]));
    assert!(one.message.contains("all texts are embedded as one"), "{}", one.message);
}

#[test]
fn an_answer_goes_as_far_as_the_gold_does() {
    let keys = "cases = [{ prompt = \"p 0\", gold = \" gold it is. So there.\", paraphrases = [\"one 0\"] }]";
    let course = |generation: &'static str| {
        let embedded = std::cell::RefCell::new(Vec::new());
        course_of(&probe::<AdapterRevert>(keys), CoursePlan::default(), |request| {
            if let Op::Embed { text, .. } = &request.op {
                embedded.borrow_mut().push(text.clone());
            }
            Ok(answer(request, |_, _, _| generation, |_| vec![1.0]))
        });
        embedded.into_inner()
    };
    assert_eq!(course("  gold one. Two.  Three. Four."), ["gold one. Two.", "gold one. Two.", "gold it is. So there."]);
    assert_eq!(course(" gold without an end")[0], "gold without an end");
    assert_eq!(course(" gold\n\nTwo\nThree")[0], "gold\n\nTwo");
}

#[test]
fn an_answer_without_a_word_is_the_items_error() {
    for (view, name) in [(View::Ft, "ft"), (View::Base, "base")] {
        let course = course_of(&probe::<AdapterRevert>(&cases(6)), CoursePlan::default(), |request| {
            let says = |which: &str, number: usize, of: View| match (of == view, which, number) {
                (true, "two", 3) => " \n … ",
                _ => "base it is.",
            };
            Ok(answer(request, says, place))
        });
        let ending = course.judge(&Court::PLAIN);
        assert_eq!((ending.failed, ending.judgement), (1, None));
        assert_eq!(ending.errors, [format!("item 4: what {name} answers to paraphrase 2 has no word, so it is near to nothing")]);
    }
}

#[test]
fn both_views_answer_every_paraphrase_and_what_they_say_is_embedded_once_each() {
    let survey = probe::<AdapterRevert>(&cases(7)).survey(&NoFiles).unwrap();
    assert_eq!((survey.items, survey.requests), (7, 28));
    for bad in ["threshold = 0.0", "trivial = 1.0", "max_new_tokens = 0", "embedder = \"\""] {
        assert!(toml::from_str::<AdapterRevert>(&format!("{}\n{bad}", cases(5))).is_err(), "{bad}");
    }
}
