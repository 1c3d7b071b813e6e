//! `sway score --server`: what it gives in process, to the last byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use crate::daemon::{Daemon, copy};
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, Told, World, process, sway, sway_reading};

/// The same command in process, and with a daemon.
fn both(daemon: &Daemon, stdin: impl AsRef<[u8]>, args: &[&str]) -> [Told; 2] {
    let url = daemon.url();
    let here = [&["score"], args].concat();
    let there = [&["score", "--server", &url], args].concat();
    [here, there].map(|args| sway_reading(stdin.as_ref(), &args))
}

fn same(daemon: &Daemon, stdin: impl AsRef<[u8]>, args: &[&str]) -> Told {
    let [here, there] = both(daemon, stdin, args);
    assert_eq!((there.code, &there.stdout, &there.stderr), (here.code, &here.stdout, &here.stderr), "{args:?}");
    here
}

#[test]
fn answers_and_errors_are_the_same_to_the_last_byte() {
    let world = World::new();
    let daemon = Daemon::start::<&str>(&[]);
    let on_both = ["--base", BASE, "--adapter", HEALTHY];
    let questions = lines(0..140).concat();
    assert_eq!(same(&daemon, &questions, &on_both).code, 0);
    assert_eq!(same(&daemon, "", &on_both).code, 0);
    assert_eq!(same(&daemon, "\n\n", &on_both).code, 0);
    // More than a window, a line that is too long in the middle, and none at the end.
    let many = lines([0]).concat().repeat(3000);
    let broken = [questions.as_bytes(), b"{\n\xff\n", &vec![b'a'; (4 << 20) + 1], b"\n", many.as_bytes(), b"{\"id\":1}"].concat();
    assert_eq!(same(&daemon, &broken, &on_both).code, 1);
    let file = world.write("requests.jsonl", &questions);
    assert_eq!(same(&daemon, "", &[&on_both[..], &[&file]].concat()).code, 0);
    assert_eq!(same(&daemon, &questions, &[&on_both[..], &["--dtype", "bf16"]].concat()).code, 0);
    let of_base = r#"{"op":"rolling_logprob","text":"a b c"}"#;
    assert_eq!(same(&daemon, of_base, &["--base", BASE]).code, 0);
    let of_ft = r#"{"op":"rolling_logprob","view":"ft","text":"a b c"}"#;
    assert_eq!(same(&daemon, of_ft, &["--base", BASE]).code, 1);
}

#[test]
fn a_model_that_can_not_be_loaded_is_refused_in_the_same_words() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let misfit = world.adapter(|tensors| tensors.values_mut().next().unwrap().grow(1));
    let truncated = copy(&world, BASE, "truncated");
    world.write("truncated/model.safetensors", [0; 100]);
    let question = lines([0]).concat();
    for args in [
        ["--base", &empty, "--adapter", HEALTHY],
        ["--base", &world.path("missing/from/here"), "--adapter", HEALTHY],
        ["--base", BASE, "--adapter", &misfit],
        ["--base", BASE, "--adapter", &empty],
        ["--base", &truncated, "--adapter", HEALTHY],
        ["--base", HEALTHY, "--adapter", HEALTHY],
    ] {
        assert_eq!(same(&daemon, &question, &args).code, 4, "{args:?}");
    }
}

#[test]
fn what_is_wrong_with_a_command_is_the_same_too() {
    let daemon = Daemon::start::<&str>(&[]);
    for args in [&["--base", BASE, "--dtype", "f16"][..], &["--base", BASE, "--dtype", "f64"], &["--bass", BASE], &[]] {
        let [here, there] = both(&daemon, "", args);
        assert_eq!((here.code, there.code), (2, 2), "{args:?}");
        assert_eq!(here.stderr.lines().next(), there.stderr.lines().next(), "{args:?}");
    }
    assert_eq!(same(&daemon, "", &["--base", BASE, "/no/such/requests.jsonl"]).code, 4);
    for output in ["--stats", "--trace"] {
        let told = sway(&["score", "--server", &daemon.url(), "--base", BASE, output, "/dev/null"]);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{output}");
        assert!(told.stderr.contains("a daemon keeps no --stats and no --trace"), "{}", told.stderr);
    }
    let told = sway(&["score", "--base", BASE, "--token-file", "token"]);
    assert_eq!(told.code, 2, "a token goes with a server");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let daemon = Daemon::start::<&str>(&[]);
    let mut child = process(&["score", "--server", &daemon.url(), "--base", BASE, "--adapter", HEALTHY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(lines([0]).concat().as_bytes()).unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    while stdin.write_all(lines([1]).concat().as_bytes()).is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert!(daemon.is_healthy());
}

#[test]
fn a_request_is_answered_while_the_pipe_stays_open() {
    let daemon = Daemon::start::<&str>(&[]);
    let mut child = process(&["score", "--server", &daemon.url(), "--base", BASE, "--adapter", HEALTHY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for (id, question) in lines(0..5).into_iter().enumerate() {
        stdin.write_all(question.as_bytes()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("{{\"id\":{id},\"op\":")), "{line}");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn answers_of_two_trainings_are_not_mixed() {
    let world = World::new();
    let adapter = copy(&world, HEALTHY, "adapter");
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let mut child = process(&["score", "--server", &daemon.url(), "--base", BASE, "--adapter", &adapter])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut answer = String::new();
    stdin.write_all(lines([0]).concat().as_bytes()).unwrap();
    stdout.read_line(&mut answer).unwrap();
    assert_eq!(answer, in_process(HEALTHY, &lines([0])).concat());
    copy(&world, "probes/demo/memorised", "adapter");
    stdin.write_all(lines([1]).concat().as_bytes()).unwrap();
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("the model's files changed between two requests"), "{said}");
    answer.clear();
    assert_eq!(stdout.read_line(&mut answer).unwrap(), 0, "{answer}");
}

/// Something that listens, and answers every request with these bytes.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 1 << 16];
            let _ = stream.read(&mut request).and_then(|_| stream.write_all(bytes));
        }
    });
    address
}

#[test]
fn a_connection_that_was_closed_since_is_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (close, told_to_close) = channel::<()>();
    let (closed, is_closed) = channel();
    // It keeps each connection until it is told, as a daemon does for some seconds.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _some_of_it = stream.read(&mut vec![0; 1 << 16]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"id\":0}\n").unwrap();
            told_to_close.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let mut child = process(&["score", "--server", &server, "--base", BASE, "--adapter", HEALTHY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for question in lines(0..10) {
        stdin.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, "{\"id\":0}\n");
        close.send(()).unwrap();
        is_closed.recv().unwrap();
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn where_there_is_no_daemon_it_is_said_what_there_is() {
    let world = World::new();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let web = answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\nconnection: close\r\n\r\nno...");
    let cut = answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n");
    let other = answering(b"220 mail.example ESMTP\r\n");
    let busy = answering(
        b"HTTP/1.1 429 Busy\r\nretry-after: 18446744073709551615\r\ncontent-length: 48\r\nconnection: close\r\n\r\n{\"error\":{\"code\":\"busy\",\"message\":\"come never\"}}",
    );
    let socket = format!("unix:{}", world.path("none.sock"));
    let cases = [
        ("not an address", 2, "is no daemon's address"),
        ("ftp://127.0.0.1", 2, "is no daemon's address"),
        ("127.0.0.1:8787", 2, "is no daemon's address"),
        (&nobody, 4, "can't reach the daemon at"),
        (&socket, 4, "can't reach the daemon at"),
        (&web, 4, "is no sway daemon"),
        (&other, 4, "can't reach the daemon at"),
        (&busy, 4, "come never"),
        (&cut, 4, "the daemon's answer was cut off"),
    ];
    for (server, code, why) in cases {
        let told = sway_reading(lines([0]).concat(), &["score", "--server", server, "--base", BASE]);
        assert_eq!(told.code, code, "{server}: {}", told.stderr);
        assert!(told.stderr.contains(why), "{server}: {}", told.stderr);
    }
}
