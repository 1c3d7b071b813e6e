//! Many errands at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Condvar, Mutex};

use super::*;

fn questions(count: usize) -> Vec<Errand> {
    (0..count).map(|i| Errand::Ask(question(&i.to_string()))).collect()
}

#[test]
fn an_endpoint_is_asked_as_many_questions_at_a_time_as_it_may_be_and_no_more() {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (Arc::clone(&inside), Arc::clone(&most));
    // Nobody is answered before four are there.
    let barrier = Barrier::new(4);
    let server = Server::start(move |_, out| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        barrier.wait();
        now.fetch_sub(1, Ordering::SeqCst);
        out.say("hello");
    });
    let outside = outside(endpoint(&server));
    // The bound is over all that is sent.
    let mut lists = [outside.send(questions(8)), outside.send(questions(4))];
    for errands in &mut lists {
        while errands.under_way() > 0 {
            next(errands).1.unwrap();
        }
        assert!(errands.try_next().is_none());
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert_eq!(server.requests().len(), 12);
}

#[test]
fn a_busy_endpoint_does_not_hold_up_another() {
    let busy = Server::start(|_, out| out.hang());
    let free = Server::start(|_, out| out.say("hello"));
    let busy = Endpoint { name: "busy".to_owned(), max_concurrent: 1, ..endpoint(&busy) };
    let outside = Outside::new(vec![busy, endpoint(&free)], 1, Arc::default()).unwrap();
    let to_busy = || Errand::Ask(Question { endpoint: "busy".to_owned(), ..question("hi") });
    let mut errands = outside.send(vec![to_busy(), to_busy(), Errand::Ask(question("hi"))]);
    assert_eq!(next(&mut errands).0, 2);
    assert_eq!(errands.under_way(), 2);
}

#[test]
fn errands_come_back_in_the_order_in_which_they_finish() {
    let turn = Arc::new((Mutex::new(String::new()), Condvar::new()));
    let server = {
        let turn = Arc::clone(&turn);
        Server::start(move |request, out| {
            let now = turn.0.lock().unwrap();
            drop(turn.1.wait_while(now, |now| now != request.words()).unwrap());
            out.say(request.words());
        })
    };
    let outside = outside(endpoint(&server));
    let mut errands = outside.send(questions(3));
    for expected in [2, 0, 1] {
        *turn.0.lock().unwrap() = expected.to_string();
        turn.1.notify_all();
        let (place, brought) = next(&mut errands);
        let Ok(Brought::Completion(completion)) = brought else { panic!("{brought:?}") };
        assert_eq!((place, completion.text), (expected, expected.to_string()));
    }
    assert_eq!(errands.next().map(|(place, _)| place), None);
}

#[test]
fn waiting_for_them_gives_them_all() {
    let server =
        Server::start(|request, out| if request.words() == "1" { out.answer("400 No", &[], b"no") } else { out.say("hello") });
    let errands = outside(endpoint(&server)).send(questions(5));
    let back: Vec<_> = errands.collect();
    assert_eq!(back.iter().map(|(place, _)| *place).collect::<BTreeSet<_>>(), (0..5).collect());
    assert!(back.iter().all(|(place, brought)| brought.is_err() == (*place == 1)));
}

#[test]
fn an_interruption_ends_all_that_is_under_way_or_waits() {
    let server = Server::start(|_, out| out.hang());
    let interrupted = Arc::new(AtomicBool::new(false));
    let outside = Outside::new(vec![endpoint(&server)], 1, Arc::clone(&interrupted)).unwrap();
    let errands = outside.send(questions(6));
    wait_for("four questions", || (server.requests().len() == 4).then_some(()));
    interrupted.store(true, Ordering::SeqCst);
    let back: Vec<_> = errands.collect();
    assert_eq!(back.len(), 6);
    assert!(back.iter().all(|(_, brought)| *brought == Err(OutsideError::Interrupted)));
    let mut late = outside.send(questions(1));
    assert_eq!(next(&mut late).1, Err(OutsideError::Interrupted));
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn an_interruption_ends_a_pause() {
    let server = Server::start(|_, out| out.answer("503 Busy", &[("Retry-After", "500")], b""));
    let interrupted = Arc::new(AtomicBool::new(false));
    let outside = Outside::new(vec![endpoint(&server)], 1, Arc::clone(&interrupted)).unwrap();
    let mut errands = outside.send(questions(1));
    wait_for("a question", || server.requests().pop());
    interrupted.store(true, Ordering::SeqCst);
    assert_eq!(next(&mut errands).1, Err(OutsideError::Interrupted));
}

#[test]
fn dropping_them_cancels_them() {
    let gone = Arc::new(AtomicUsize::new(0));
    let server = {
        let gone = Arc::clone(&gone);
        Server::start(move |_, out| {
            out.hang();
            gone.fetch_add(1, Ordering::SeqCst);
        })
    };
    let outside = outside(endpoint(&server));
    let errands = outside.send(questions(6));
    wait_for("four questions", || (server.requests().len() == 4).then_some(()));
    drop(errands);
    wait_for("the connections to be closed", || (gone.load(Ordering::SeqCst) >= 4).then_some(()));
    assert_eq!(server.requests().len(), 4, "who waited is not sent any more");
}

#[test]
fn what_cannot_be_sent_is_an_error_in_its_place() {
    let server = Server::start(|_, out| out.say("hello"));
    let elsewhere = Question { endpoint: "jury".to_owned(), ..question("hi") };
    let prompt = Question { words: Words::Prompt("1,".to_owned()), ..question("") };
    let back: Vec<_> = outside(endpoint(&server)).send(vec![Errand::Ask(elsewhere), Errand::Ask(prompt)]).collect();
    let mut back: Vec<String> = back.into_iter().map(|(place, brought)| format!("{place} {}", brought.unwrap_err())).collect();
    back.sort();
    assert_eq!(back, ["0 there is no endpoint `jury`", "1 endpoint `judge`: it speaks chat, and is asked with a prompt"]);
    assert!(server.requests().is_empty());
    assert!(outside(endpoint(&server)).send(Vec::new()).next().is_none());
}

#[test]
fn an_errand_that_dies_is_not_forgotten() {
    let server = Server::start(|_, out| out.answer("503 Busy", &[], b""));
    let jitter = Jitter::new(|_| panic!("a jitter that panics, for a test"));
    let outside = Outside::with_jitter(vec![endpoint(&server)], 1, Arc::default(), jitter).unwrap();
    assert_eq!(outside.send(questions(1)).collect::<Vec<_>>(), [(0, Err(OutsideError::Lost))]);
}

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let server = Server::start(|_, out| out.say("hello"));
    let good = || endpoint(&server);
    let key = |key: &str| Some(Secret::new(key));
    let wrong = [
        Endpoint { url: "http://me:hush@h/v1".to_owned(), ..good() },
        Endpoint { url: "h/v1".to_owned(), ..good() },
        Endpoint { key: key("sk-hush\n"), ..good() },
        Endpoint { key: key(""), ..good() },
        Endpoint { max_concurrent: 0, ..good() },
        Endpoint { patience: Patience { tries: 0, ..patience() }, ..good() },
    ];
    for endpoint in wrong {
        let error = Outside::new(vec![endpoint], 1, Arc::default()).unwrap_err();
        assert_eq!(error.code(), "setup");
        assert!(error.to_string().starts_with("endpoint `judge` can't be asked: "), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
    assert_eq!(Outside::new(vec![good(), good()], 1, Arc::default()).unwrap_err().code(), "setup");
    assert_eq!(Outside::new(vec![good()], 0, Arc::default()).unwrap_err(), OutsideError::NoPrograms);
    assert!(!format!("{:?} {:?}", good(), outside(good())).contains("hush"));
}
