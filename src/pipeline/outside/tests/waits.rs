//! Servers that take their time.

use super::*;

fn hanging() -> Server {
    Server::start(|_, out| out.hang())
}

#[test]
fn a_server_that_never_answers_is_asked_again_and_given_up() {
    let server = hanging();
    let patience = Patience { attempt: SHORT, tries: 2, ..patience() };
    let error = ask(Endpoint { patience, ..endpoint(&server) }).unwrap_err();
    assert_eq!(error.code(), "timeout");
    assert!(error.to_string().starts_with("endpoint `judge`, after 2 tries: no whole answer within 0.3 s\nhint: "), "{error}");
}

#[test]
fn an_answer_that_trickles_is_bounded_as_a_whole() {
    let server = Server::start(|_, out| {
        let _ = out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        // Each piece is in time; the client ends it.
        while out.raw(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
        out.close();
    });
    let patience = Patience { attempt: SHORT, tries: 1, ..patience() };
    assert_eq!(ask(Endpoint { patience, ..endpoint(&server) }).unwrap_err().code(), "timeout");
}

#[test]
fn a_refusal_that_trickles_is_a_refusal() {
    let server = Server::start(|_, out| {
        let _ = out.raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\nno entry");
        out.hang();
    });
    let patience = Patience { attempt: SHORT, ..patience() };
    let error = ask(Endpoint { patience, ..endpoint(&server) }).unwrap_err();
    assert!(error.to_string().contains("status 401: no entry"), "{error}");
}

#[test]
fn all_tries_together_end_with_the_deadline() {
    let server = hanging();
    let patience = Patience { deadline: SHORT, ..patience() };
    let error = ask(Endpoint { patience, ..endpoint(&server) }).unwrap_err();
    assert_eq!(error.code(), "deadline");
    assert!(error.to_string().starts_with("endpoint `judge`: no answer within 0.3 s\n"), "{error}");
}

#[test]
fn a_pause_beyond_the_deadline_is_not_made() {
    let server = Server::start(|_, out| out.answer("500 Broken", &[], b"broken"));
    let outside = {
        let patience = Patience { pause: LONG * 2, ..patience() };
        let endpoint = Endpoint { patience, ..endpoint(&server) };
        Outside::with_jitter(vec![endpoint], 1, Arc::default(), Jitter::new(|most| most)).unwrap()
    };
    let error = ask_with(&outside, question("hi")).unwrap_err();
    assert!(error.to_string().contains("no answer within 600 s; the last try: it refuses with status 500: broken"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn waiting_for_ones_turn_takes_nothing_from_ones_time() {
    // The first takes all the time that it has, and the second waits for its turn all the while.
    let server = Server::start(|request, out| if request.nth == 0 { out.hang() } else { out.say("hello") });
    let time = Duration::from_secs(2);
    let patience = Patience { attempt: time, deadline: time, tries: 1, ..patience() };
    let outside = outside(Endpoint { max_concurrent: 1, patience, ..endpoint(&server) });
    let mut errands = outside.send(vec![Errand::Ask(question("one")), Errand::Ask(question("two"))]);
    let (first, failed) = next(&mut errands);
    let (second, brought) = next(&mut errands);
    assert_ne!(first, second);
    assert_eq!(failed.unwrap_err().code(), "deadline");
    assert!(matches!(brought, Ok(Brought::Completion(_))), "{brought:?}");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_again_and_again() {
    let server = hanging();
    let patience = Patience { attempt: SHORT, tries: 1, ..patience() };
    let outside = outside(Endpoint { max_concurrent: 5, patience, ..endpoint(&server) });
    let ask_all = |count: usize| -> Vec<String> {
        let errands = outside.send((0..count).map(|nth| Errand::Ask(question(&nth.to_string()))).collect());
        errands.map(|(_, brought)| brought.unwrap_err().to_string()).collect()
    };
    let errors = ask_all(200);
    let late = errors.iter().filter(|error| error.starts_with("endpoint `judge`: no whole answer within 0.3 s\nhint: ")).count();
    // Those whose turn came while the others of the wave were still waited for were asked as well.
    assert!((5..=9).contains(&late), "{late}");
    assert_eq!(errors.len(), 200);
    let unasked = errors.iter().filter(|error| {
        let told = error.strip_prefix("endpoint `judge`: not asked, as the ").and_then(|rest| rest.split_once(' '));
        told.is_some_and(|(_, rest)| {
            rest.starts_with("questions before got no answer; the last: no whole answer within 0.3 s\nhint: ")
        })
    });
    assert_eq!(unasked.count(), 200 - late, "{errors:?}");
    let asked = server.requests().len();
    assert!(ask_all(1)[0].contains("not asked"), "and none is asked later");
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_server_that_answers_now_and_then_is_asked_on() {
    // Of five, three in a row get nothing: the longest silence that is short of too many.
    let server = Server::start(|request, out| match request.nth % 5 {
        0..3 => out.answer("503 Busy", &[], b"busy"),
        3 => out.say("hello"),
        _ => out.answer("400 Wrong", &[], b"wrong"),
    });
    let outside = outside(Endpoint { max_concurrent: 1, patience: Patience { tries: 1, ..patience() }, ..endpoint(&server) });
    let errands = outside.send((0..50).map(|nth| Errand::Ask(question(&nth.to_string()))).collect());
    let errors: Vec<OutsideError> = errands.filter_map(|(_, brought)| brought.err()).collect();
    assert_eq!((errors.len(), server.requests().len()), (40, 50));
    assert!(errors.iter().all(|error| error.code() == "refused"), "{errors:?}");
}
