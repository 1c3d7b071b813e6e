//! Questions that come while others are under way.

use std::collections::HashSet;

use sway::engine::{Inbox, Reply};
use sway::model::Partial;
use sway::request::{Answer, Request, Sampling};

use super::models::MODELS;
use super::stub::{Bench, Stub, completion, generate, next, rolling};

/// Requests in waves: one is handed in each time that the engine asks.
#[derive(Default)]
struct Waves {
    all: Vec<Vec<Request>>,
    replies: Vec<Option<Reply>>,
    /// Questions that nobody waits for once so many waves are in.
    leaves: Vec<(usize, usize)>,
    handed: usize,
    followed: HashSet<usize>,
    texts: Vec<(usize, String)>,
}

impl Waves {
    fn of(waves: &[Vec<Request>]) -> Self {
        Self { all: waves.to_vec(), ..Self::default() }
    }
}

impl Inbox for Waves {
    fn arrivals(&mut self) -> Vec<Request> {
        let wave = self.all.get(self.handed).cloned().unwrap_or_default();
        self.handed += 1;
        self.replies.resize(self.replies.len() + wave.len(), None);
        wave
    }

    fn reply(&mut self, question: usize, reply: Reply) {
        assert!(self.replies[question].replace(reply).is_none(), "question {question} is answered twice");
    }

    fn is_wanted(&self, question: usize) -> bool {
        self.leaves.iter().all(|&(leaves, after)| leaves != question || self.handed < after)
    }

    fn is_followed(&self, question: usize) -> bool {
        self.followed.contains(&question)
    }

    fn follow(&mut self, question: usize, so_far: &Partial<'_>) {
        self.texts.push((question, so_far.text.clone()));
    }
}

fn mixed(seed: u64) -> Vec<Request> {
    let sampled = Sampling::Sample { temperature: 1.3, top_p: 0.9, seed };
    vec![
        generate("w1 w2 w3", 12, Sampling::Greedy),
        completion("w1 w2", " w5"),
        generate(format!("w1 w2 w{seed}"), 7, sampled),
        rolling(format!("w9 w8 w{seed} w7")),
        generate("w1 w2 w3", 9 + seed as usize, sampled),
    ]
}

#[test]
fn what_comes_meanwhile_gets_the_bits_that_it_gets_alone() {
    for (name, model) in MODELS.iter() {
        let waves: Vec<Vec<Request>> = (0..5).map(mixed).collect();
        let mut inbox = Waves::of(&waves);
        model.engine().attend("test", &mut inbox).unwrap();
        let asked: Vec<Request> = waves.concat();
        assert_eq!(inbox.replies.len(), asked.len(), "{name}");
        for (request, reply) in asked.iter().zip(&inbox.replies) {
            assert_eq!(reply.as_ref(), model.ask(std::slice::from_ref(request)).first(), "{name} {request:?}");
        }
    }
}

#[test]
fn a_continuation_that_nobody_waits_for_is_dropped_and_the_others_are_not() {
    let (_, model) = &MODELS[0];
    let waves = [vec![generate("w1 w2", 40, Sampling::Greedy), generate("w3", 12, Sampling::Greedy)]];
    let mut inbox = Waves { leaves: vec![(0, 4)], ..Waves::of(&waves) };
    let mut engine = model.engine();
    engine.attend("test", &mut inbox).unwrap();
    assert_eq!(inbox.replies[0], None);
    assert_eq!(inbox.replies[1].as_ref(), model.ask(&waves[0][1..]).first());
    assert!(engine.stats().tokens_computed < 30, "{:?}", engine.stats());
}

#[test]
fn who_asks_for_what_was_dropped_gets_it_all_the_same() {
    let (_, model) = &MODELS[0];
    let long = generate("w1 w2", 20, Sampling::Greedy);
    let other = generate("w3", 12, Sampling::Greedy);
    let waves = [vec![long.clone(), other], vec![], vec![], vec![], vec![], vec![long.clone()]];
    let mut inbox = Waves { leaves: vec![(0, 4)], ..Waves::of(&waves) };
    model.engine().attend("test", &mut inbox).unwrap();
    assert_eq!(inbox.replies[0], None);
    assert_eq!(inbox.replies[2].as_ref(), model.ask(&[long]).first());
}

#[test]
fn twins_are_computed_once_whenever_they_come() {
    let (_, model) = &MODELS[0];
    let same = generate("w1 w2", 10, Sampling::Greedy);
    let mut engine = model.engine();
    let mut inbox =
        Waves::of(&[vec![same.clone(), same.clone()], vec![], vec![same.clone()], vec![next("w1")], vec![next("w1")]]);
    engine.attend("test", &mut inbox).unwrap();
    assert!(inbox.replies.iter().all(|reply| matches!(reply, Some(Ok(_)))));
    let stats = engine.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses), (3, 2));
}

#[test]
fn a_follower_hears_the_text_grow() {
    let (_, model) = &MODELS[0];
    let request = generate("w1 w2", 6, Sampling::Greedy);
    let mut inbox = Waves { followed: HashSet::from([1]), ..Waves::of(&[vec![generate("w3", 5, Sampling::Greedy), request]]) };
    model.engine().attend("test", &mut inbox).unwrap();
    let Some(Ok(Answer::Generate(whole))) = &inbox.replies[1] else { panic!("it is no continuation") };
    assert!(inbox.texts.len() >= whole.token_ids.len() - 1);
    assert!(inbox.texts.iter().all(|(question, text)| *question == 1 && whole.text.starts_with(text.as_str())));
    assert!(inbox.texts.is_sorted_by_key(|(_, text)| text.len()));
}

#[test]
fn an_answer_that_is_missing_is_a_bug_of_the_backend() {
    use super::stub::Fault;
    let mut bench = Bench::with(Stub { fault: Fault::Missing(1), ..Stub::default() }, sway::engine::CacheLimits::default());
    let mut inbox = Waves::of(&[vec![next("a"), next("b")]]);
    let error = bench.engine.attend("test", &mut inbox).unwrap_err().to_string();
    assert!(error.contains("backend bug"), "{error}");
}
