//! The proxies that the environment names. It is that of a process, so each of these runs in a process of its own.

use std::process::Command;

use super::*;

/// Runs an ignored test of this file in a process of its own.
fn run(test: &str, variables: &[(&str, &str)]) {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    let output = command.args(["--exact", &name, "--ignored"]).envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_server_on_this_machine_is_asked_without_a_proxy() {
    // Nothing listens there.
    run("past_the_proxy", &[("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")]);
}

#[test]
#[ignore = "the environment has to name a proxy: see above"]
fn past_the_proxy() {
    let server = Server::start(|_, out| out.say("hello"));
    assert_eq!(ask(endpoint(&server)).unwrap().tries, 1);
}

#[test]
fn a_server_elsewhere_is_asked_through_the_proxy() {
    let proxy = Server::start(|_, out| out.say("hello"));
    run("through_the_proxy", &[("http_proxy", proxy.url().trim_end_matches("/v1"))]);
    let requests = proxy.requests();
    assert_eq!((requests.len(), requests[0].target.as_str()), (1, "http://models.invalid/v1/chat/completions"));
}

#[test]
#[ignore = "the environment has to name a proxy: see above"]
fn through_the_proxy() {
    let server = Server::start(|_, out| out.close());
    let endpoint = Endpoint { url: "http://models.invalid/v1".to_owned(), ..endpoint(&server) };
    assert_eq!(ask(endpoint).unwrap().text, "hello");
}

#[test]
fn without_roots_of_trust_a_server_without_tls_is_asked_all_the_same() {
    run("past_the_proxy", &[("SSL_CERT_FILE", "/no/such/file"), ("SSL_CERT_DIR", "/no/such/folder")]);
}
