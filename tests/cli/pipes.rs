//! Readers that go away, and requests that come one at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::world::{BASE, DEMO, ROOT, World, binary, process};

const REQUEST: &str = r#"{"id":"a","op":"logprob_of","prompt":"The home of Nessa Drace is in","completion":" Fallowmere"}"#;

/// `sway score` with a pipe at both ends.
fn talk() -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child =
        process(&["score", "--base", BASE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    (child, stdin, stdout)
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_request_is_answered_while_the_pipe_stays_open() {
    let (mut child, mut stdin, mut stdout) = talk();
    for _ in 0..3 {
        writeln!(stdin, "{REQUEST}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with(r#"{"id":"a","op":"logprob_of","view":"base","logprob":-"#), "{line}");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_last_line_without_its_end_is_answered() {
    let (mut child, mut stdin, mut stdout) = talk();
    write!(stdin, "{REQUEST}").unwrap();
    drop(stdin);
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_the_answers_quietly() {
    let (mut child, mut stdin, mut stdout) = talk();
    writeln!(stdin, "{REQUEST}").unwrap();
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    // The process notices with its next answer; from then on it reads no more.
    while writeln!(stdin, "{REQUEST}").is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(stderr(&mut child), "");
}

#[test]
fn head_gets_its_line_and_nobody_complains() {
    let world = World::new();
    let requests = world.write("requests.jsonl", format!("{REQUEST}\n").repeat(5000));
    for command in [
        format!("\"$SWAY\" score --base {BASE} \"{requests}\" | head -1"),
        format!("printf '%s\\n' '{REQUEST}' | \"$SWAY\" score --base {BASE} | head -1"),
        format!("\"$SWAY\" run {DEMO} --filter moved | head -1"),
        format!("\"$SWAY\" run {DEMO} --filter moved --format json | head -1"),
        "\"$SWAY\" list-probes | head -1".to_owned(),
        "\"$SWAY\" completions bash | head -1".to_owned(),
        "\"$SWAY\" --help | head -1".to_owned(),
    ] {
        let output = Command::new("sh")
            .args(["-c", &command])
            .env("SWAY", binary())
            .env("SWAY_STORE", "")
            .current_dir(ROOT)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{command}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1, "{command}");
    }
}
