//! Answers that outlast the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sway::engine::{Kept, Key, Settled, Shelf};
use sway::request::{Computation, Sampling};

use super::stub::{Bench, generate, next};

#[derive(Clone, Default)]
struct Board {
    kept: Arc<Mutex<HashMap<Key, Kept>>>,
    asked: Arc<Mutex<usize>>,
}

impl Shelf for Board {
    fn get(&mut self, keys: &[Key]) -> Vec<Option<Kept>> {
        *self.asked.lock().unwrap() += keys.len();
        keys.iter().map(|key| self.kept.lock().unwrap().get(key).cloned()).collect()
    }

    fn put(&mut self, answers: Vec<(Key, Kept)>) {
        self.kept.lock().unwrap().extend(answers);
    }
}

fn bench(board: &Board) -> Bench {
    let mut bench = Bench::new();
    bench.engine.set_shelf(Box::new(board.clone()));
    bench
}

#[test]
fn what_one_engine_computed_another_takes_from_the_shelf() {
    let board = Board::default();
    let requests = [next("a"), next("b"), next("a"), generate("c", 3, Sampling::Greedy)];
    let mut first = bench(&board);
    let answers = first.ask(&requests);
    assert_eq!(board.kept.lock().unwrap().len(), 3);
    let mut second = bench(&board);
    assert_eq!(second.ask(&requests), answers);
    assert_eq!(second.sent(), [0; 0]);
    let (first, second) = (first.engine.stats(), second.engine.stats());
    assert_eq!((second.cache_hits, second.cache_misses, second.forward_passes), (4, 0, 0));
    assert_eq!(second.tokens_requested, first.tokens_requested);
}

#[test]
fn the_shelf_is_asked_only_for_what_is_not_in_memory() {
    let board = Board::default();
    let mut bench = bench(&board);
    bench.ask(&[next("a"), next("a"), next("b")]);
    assert_eq!(*board.asked.lock().unwrap(), 2);
    bench.ask(&[next("a"), next("b")]);
    assert_eq!(*board.asked.lock().unwrap(), 2);
}

/// How computing alone changes an answer is what such questions are about.
#[test]
fn what_is_computed_otherwise_is_neither_looked_up_nor_kept() {
    let board = Board::default();
    let mut bench = bench(&board);
    bench.ask(&[next("a").computed(Computation::Alone), next("a").computed(Computation::Exact)]);
    assert_eq!((*board.asked.lock().unwrap(), board.kept.lock().unwrap().len()), (0, 0));
}

#[test]
fn every_question_is_settled_once_and_says_whether_it_was_known() {
    let board = Board::default();
    bench(&board).ask(&[next("a")]);
    let mut bench = bench(&board);
    let requests = [next("a"), next("b"), next("b"), next("a")];
    let questions: Vec<_> = requests.iter().map(|request| sway::engine::Question { asker: "test", request }).collect();
    let mut settled: Vec<Settled> = Vec::new();
    bench.engine.answer(&questions, &mut |step| settled.extend_from_slice(step.settled)).unwrap();
    settled.sort_by_key(|one| one.question);
    assert_eq!(settled.iter().map(|one| one.question).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(settled.iter().map(|one| one.cached).collect::<Vec<_>>(), [true, false, true, true]);
}
