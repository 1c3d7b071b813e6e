//! Programs, alone.

use std::path::Path;

use super::*;

/// A script for the system's shell.
pub fn shell(script: &str) -> Program {
    program(&["sh", "-c", script])
}

pub fn program(command: &[&str]) -> Program {
    Program {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        folder: std::env::temp_dir(),
        input: String::new(),
        timeout: LONG,
        most_output: 64 << 20,
        grace: LONG,
    }
}

pub fn programs() -> Outside {
    Outside::new(Vec::new(), 2, Arc::default()).unwrap()
}

pub fn run(program: Program) -> Result<Output, OutsideError> {
    match next(&mut programs().send(vec![Errand::Run(program)])) {
        (0, Ok(Brought::Output(output))) => Ok(output),
        (0, Err(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn stdout(program: Program) -> String {
    run(program).unwrap().stdout
}

#[test]
fn a_program_reads_its_input_and_writes_its_output() {
    let input = "{\"text\": \"grüße\"}\n".to_owned();
    assert_eq!(stdout(Program { input: input.clone(), ..shell("cat; echo seen >&2") }), input);
    assert_eq!(stdout(program(&["printf", "%s", "a b;$HOME"])), "a b;$HOME", "no shell reads it");
    assert_eq!(stdout(shell("echo \"$PATH\"")).trim_end(), std::env::var("PATH").unwrap());
}

#[test]
fn large_input_and_output_at_the_same_time_block_nobody() {
    let input = "0123456789abcdef".repeat(10 << 16);
    assert!(stdout(Program { input: input.clone(), ..program(&["cat"]) }) == input);
    // As much on stderr, of which the end is kept.
    let error = run(Program { input, ..shell("cat >&2; echo last >&2; exit 1") }).unwrap_err().to_string();
    assert!(error.contains(":\n…") && error.ends_with("abcdeflast") && error.len() < 2200, "{error}");
}

#[test]
fn a_program_may_leave_its_input_unread() {
    let input = "x".repeat(10 << 20);
    assert_eq!(stdout(Program { input: input.clone(), ..shell("echo hello") }), "hello\n");
    assert_eq!(stdout(Program { input, ..shell("exec <&-; echo hello") }), "hello\n");
}

#[test]
fn a_program_that_fails_says_why() {
    let error = run(shell("echo partial; echo 'no such column' >&2; exit 3")).unwrap_err();
    assert_eq!(error.to_string(), "program `sh`: it ended with exit status 3:\nno such column");
    assert_eq!(error.code(), "exit_status");
    assert_eq!(run(shell("exit 4")).unwrap_err().to_string(), "program `sh`: it ended with exit status 4");
    let error = run(shell("echo going >&2; kill -TERM $$")).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("signal", "program `sh`: it was ended by signal 15:\ngoing"));
}

#[test]
fn output_that_is_no_text_is_refused() {
    let error = run(shell("printf 'ab\\303('")).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("not_utf8", "program `sh`: what it wrote is not UTF-8 from byte 2 on")
    );
}

#[test]
fn output_without_end_is_ended() {
    let error = run(Program { most_output: 100_000, ..shell("while :; do echo flood; done") }).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("output_too_long", "program `sh`: it wrote more than 100000 bytes, and was killed")
    );
    assert_eq!(stdout(Program { most_output: 5, ..shell("printf 12345") }), "12345");
    assert_eq!(run(Program { most_output: 5, ..shell("printf 123456") }).unwrap_err().code(), "output_too_long");
}

#[test]
fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let here = |command: &[&str]| Program { folder: dir.path().to_owned(), ..program(command) };
    // Written by another process: no program of this one may hold it open for writing while it is executed.
    let script = "echo 'echo hello' > bare; echo '#!/no/such/sh' > orphan; echo > plain; chmod +x bare orphan";
    run(Program { folder: dir.path().to_owned(), ..shell(script) }).unwrap();
    let fault = |command: &[&str]| run(here(command)).unwrap_err();
    for command in [&["no-such-program-anywhere"][..], &["./missing"], &["plain/x"], &[], &[""]] {
        assert_eq!(fault(command).code(), "not_found", "{command:?}");
    }
    for command in ["./plain", "./bare", "./orphan", dir.path().to_str().unwrap()] {
        assert_eq!(fault(&[command]).code(), "not_executable", "{command}");
    }
    assert!(fault(&["./orphan"]).to_string().contains("interpreter"), "{}", fault(&["./orphan"]));
    assert_eq!(fault(&["sh\0"]).code(), "system");
    let nowhere = Program { folder: Path::new("/no/such/folder").to_owned(), ..program(&["sh"]) };
    assert_eq!(run(nowhere).unwrap_err().to_string(), "program `sh`: its folder /no/such/folder is none");
}

#[test]
fn a_path_starts_at_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("inner");
    std::fs::create_dir(&folder).unwrap();
    let script = "printf '#!/bin/sh\\npwd -P\\n' > where; chmod +x where";
    run(Program { folder: folder.clone(), ..shell(script) }).unwrap();
    let real = format!("{}\n", folder.canonicalize().unwrap().display());
    assert_eq!(stdout(Program { folder: folder.clone(), ..program(&["./where"]) }), real);
    assert_eq!(stdout(Program { folder, ..program(&["../inner/where"]) }), real);
}
