//! Who may ask.

use crate::daemon::{Daemon, healthy};
use crate::http::Response;
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, World, process, sway, sway_reading};

const TOKEN: &str = "f2a0c1d9-the-secret-of-this-test";

/// What a POST with these headers gets.
fn ask(daemon: &Daemon, headers: &str) -> Response {
    let body = lines([0]).concat();
    let mut connection = daemon.connect();
    let head = format!("POST {} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n", healthy(), body.len());
    connection.send(head + &body).unwrap();
    connection.response().unwrap()
}

#[test]
fn only_who_shows_the_whole_token_is_answered() {
    let world = World::new();
    let file = world.write("token", format!("{TOKEN}\n"));
    let daemon = Daemon::start(&["--token-file", &file]);
    let host = format!("Host: 127.0.0.1:{}\r\n", daemon.port());
    let with = |value: &str| ask(&daemon, &format!("{host}Authorization: {value}\r\n"));
    let right = with(&format!("Bearer {TOKEN}"));
    assert_eq!((right.status, right.body), (200, in_process(HEALTHY, &lines([0])).concat()));
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
        format!("Bearer {}", "a".repeat(30_000)),
    ];
    for value in &wrong {
        let told = with(value);
        assert_eq!(
            (told.status, told.code().as_str(), told.header("www-authenticate")),
            (401, "unauthorized", Some("Bearer")),
            "{value}"
        );
        assert!(!told.body.contains(TOKEN));
    }
    assert_eq!(ask(&daemon, &host).status, 401);
    for path in ["/stats", "/v1/models", "/v1/nothing", "/metrics", "//health", "/health/"] {
        assert_eq!(daemon.get(path).status, 401, "{path}");
    }
    assert!(daemon.is_healthy(), "health is told to everyone");
    // It can be read nowhere: not among the processes, not in the log.
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.id())).unwrap_or_default();
    assert!(!arguments.contains(TOKEN) && !daemon.log().contains(TOKEN));
}

#[test]
fn a_token_of_the_environment_is_one_too() {
    let mut command = Daemon::command::<&str>(&[]);
    command.env("SWAY_TOKEN", TOKEN);
    let daemon = Daemon::from(command);
    assert_eq!(daemon.get("/stats").status, 401);
    let question = lines([0]);
    let client = |token: &str| {
        let args = ["score", "--server", &daemon.url(), "--base", BASE, "--adapter", HEALTHY];
        let mut command = process(&args);
        command.env("SWAY_TOKEN", token);
        let output = assert_cmd::Command::from_std(command).write_stdin(question.concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(client(TOKEN), (Some(0), in_process(HEALTHY, &question).concat(), String::new()));
    let (code, stdout, stderr) = client("another-token-than-this");
    assert_eq!((code, stdout.as_str()), (Some(4), ""));
    assert!(stderr.contains("this needs the daemon's token"), "{stderr}");
    assert!(!daemon.log().contains(TOKEN));
}

#[test]
fn a_token_that_could_be_guessed_or_is_missing_is_refused() {
    let world = World::new();
    for (content, why) in [("", "the token is empty"), ("short", "at least 16"), ("sixteen and a space", "no HTTP header")] {
        let told = sway(&["serve", "--listen", "127.0.0.1:0", "--token-file", &world.write("token", content)]);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""));
        assert!(told.stderr.contains(why) && (content.is_empty() || !told.stderr.contains(content)), "{}", told.stderr);
    }
    let told = sway(&["serve", "--listen", "127.0.0.1:0", "--token-file", &world.path("none")]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{}", told.stderr);
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let told = sway(&["serve", "--listen", address]);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{address}");
        assert!(told.stderr.contains("there is no token"), "{}", told.stderr);
    }
}

#[test]
fn a_page_in_a_browser_can_not_drive_it() {
    let daemon = Daemon::start::<&str>(&[]);
    let port = daemon.port();
    let own = format!("Host: 127.0.0.1:{port}\r\n");
    for headers in [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        "Host: 127.0.0.1\r\n".to_owned(),
        format!("{own}Origin: http://evil.example\r\n"),
        format!("{own}Origin: http://127.0.0.1:{port}\r\n"),
        format!("{own}Origin: null\r\n"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
    ] {
        let told = ask(&daemon, &headers);
        assert_eq!((told.status, told.code().as_str()), (403, "forbidden"), "{headers}");
    }
    for host in ["127.0.0.1", "localhost", "LocalHost"] {
        assert_eq!(ask(&daemon, &format!("Host: {host}:{port}\r\n")).status, 200, "{host}");
    }
    // Nothing of what was refused reached a model.
    assert_eq!((daemon.cache("models"), daemon.cache("misses")), (1, 1));
}

#[test]
fn a_token_is_no_argument() {
    let told = sway_reading("", &["serve", "--token", TOKEN]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
}
