//! Lines that are no requests: each has its error in its place, as in process.

use std::thread;

use crate::beside::Bystander;
use crate::daemon::{Daemon, healthy, on};
use crate::http::Response;
use crate::questions::lines;
use crate::world::{BASE, HEALTHY, sway_reading};

/// Sends a body while its answer is read.
fn stream(daemon: &Daemon, pieces: &[&[u8]]) -> Response {
    let mut reader = daemon.connect();
    reader.begin_chunked(&healthy());
    let mut writer = reader.another();
    thread::scope(|scope| {
        scope.spawn(move || {
            for piece in pieces {
                writer.chunk(piece).unwrap();
            }
            writer.chunk([]).unwrap();
        });
        reader.response().unwrap()
    })
}

#[test]
fn a_hundred_thousand_lines_of_one_byte_are_as_many_errors() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    let told = stream(&daemon, &[b"x\n".repeat(100_000).as_slice()]);
    assert_eq!((told.status, told.whole), (200, true));
    let expected = sway_reading("x\n", &["score", "--base", BASE]);
    assert_eq!((expected.code, expected.stdout.lines().count()), (1, 1));
    assert_eq!(told.body.lines().count(), 100_000);
    assert!(told.body.split_inclusive('\n').all(|line| line == expected.stdout));
    bystander.noticed_nothing(&daemon);
}

#[test]
fn errors_and_answers_come_in_the_order_of_their_lines() {
    let daemon = Daemon::start::<&str>(&[]);
    let questions = lines([0]).concat().replace("\"id\":0", "\"id\":-1");
    let body: String = (0..20_000).map(|n| if n % 7 == 3 { questions.clone() } else { format!("{{\"id\":{n}}}\n") }).collect();
    let told = stream(&daemon, &[body.as_bytes()]);
    for (n, line) in told.body.lines().enumerate() {
        let id = if n % 7 == 3 { "-1,\"op\":".to_owned() } else { format!("{n},\"error\":") };
        assert!(line.starts_with(&format!("{{\"id\":{id}")), "{n} {line}");
    }
    assert_eq!((told.whole, told.body.lines().count()), (true, 20_000));
}

#[test]
fn a_client_that_reads_nothing_until_all_is_sent_is_answered() {
    let daemon = Daemon::start::<&str>(&[]);
    let count = 60_000;
    let line = lines([0]).remove(0);
    let told = daemon.score(&on(HEALTHY), line.repeat(count));
    assert_eq!((told.status, told.whole, told.body.lines().count()), (200, true, count));
    let first = told.body.lines().next().unwrap();
    assert!(told.body.lines().all(|line| line == first));
}

#[test]
fn broken_lines_of_every_sort_are_told_in_the_words_of_a_process() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    let (long, question) = (vec![b'a'; (4 << 20) + 1], lines([0, 3]).concat());
    let in_string = [br#"{"id":"long","text":""#.as_slice(), &long, b"\"}\n"].concat();
    let deep = [b"[".repeat(200_000).as_slice(), b"\n"].concat();
    let pieces: Vec<&[u8]> = vec![
        question.as_bytes(),
        b"{\n}\n{}\n[]\nnull\n\"\n{\"id\":1,\"op\":\"generate\"\n",
        b"\xff\xfe\n{\"id\":\"\xc3\x28\",\"op\":\"embed\",\"text\":\"a\"}\n",
        b"{\"id\":7,\"op\":\"rolling_logprob\",\"text\":\"\\ud800\"}\n",
        b"\n  \n\r\n\t\n",
        b"{\"id\":8,\"op\":\"rolling_logprob\",\"text\":\"a\0b\"}\n",
        b"{\"id\":9,\"op\":\"next_token_dist\",\"prompt\":\"a\",\"top_k\":1e400}\n",
        b"{\"id\":10,\"op\":\"next_token_dist\",\"prompt\":\"a\",\"top_k\":-1}\n",
        b"{\"id\":11,\"op\":\"generate\",\"prompt\":\"a\",\"max_new_tokens\":18446744073709551615}\n",
        b"{\"id\":12,\"op\":\"next_token_dist\",\"prompt\":[4294967295]}\n",
        b"{\"id\":13,\"op\":\"next_token_dist\",\"prompt\":\"\"}\n",
        b"{\"id\":14,\"op\":\"nothing\",\"prompt\":\"a\"}\n",
        b"{\"id\":15,\"op\":\"generate\",\"prompt\":\"a\",\"max_new_tokens\":3,\"temperature\":-1}\n",
        &long,
        b"\n",
        &in_string,
        &deep,
        question.as_bytes(),
        b"{\"id\":\"last\"}",
    ];
    let expected = sway_reading(pieces.concat(), &["score", "--base", BASE, "--adapter", HEALTHY]);
    assert_eq!((expected.code, expected.stderr.as_str()), (1, ""));
    let told = stream(&daemon, &pieces);
    assert_eq!((told.status, told.whole), (200, true));
    for (told, expected) in told.body.lines().zip(expected.stdout.lines()) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.body.len(), expected.stdout.len());
    // Byte by byte it is the same.
    let small = lines([0, 1]).concat() + "{\n";
    let bytes: Vec<&[u8]> = small.as_bytes().chunks(1).collect();
    assert_eq!(stream(&daemon, &bytes).body, daemon.score(&on(HEALTHY), &small).body);
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_body_of_nothing_has_an_answer_of_nothing() {
    let daemon = Daemon::start::<&str>(&[]);
    for body in ["", "\n", " \r\n\n"] {
        let told = daemon.score(&on(HEALTHY), body);
        assert_eq!((told.status, told.body.as_str(), told.whole), (200, "", true), "{body:?}");
    }
}
