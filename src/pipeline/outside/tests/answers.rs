//! Answers that are as they should be.

use super::*;

#[test]
fn a_chat_is_asked_and_answered() {
    let server = Server::start(|_, out| out.say("hello"));
    let asked = Question { temperature: 0.7, seed: Some(3), stop: vec!["\n".to_owned()], ..question("hi") };
    let completion = ask_with(&outside(endpoint(&server)), asked).unwrap();
    assert_eq!((completion.text.as_str(), completion.finish.as_deref()), ("hello", Some("stop")));
    assert_eq!((completion.tokens_in, completion.tokens_out, completion.tries), (Some(7), Some(2), 1));
    let request = &server.requests()[0];
    assert_eq!(request.target, "/v1/chat/completions");
    assert_eq!(request.headers["authorization"], "Bearer sk-hush");
    assert_eq!(request.headers["content-type"], "application/json");
    let body = json!({
        "model": "m", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 16, "temperature": 0.7, "seed": 3,
        "stop": ["\n"], "stream": false,
    });
    assert_eq!(request.body, body);
}

#[test]
fn a_text_is_completed() {
    let server = Server::start(|_, out| out.json("200 OK", &json!({ "choices": [{ "text": " 3", "finish_reason": "length" }] })));
    let endpoint = Endpoint { form: Form::Completions, key: None, url: server.url() + "/", ..endpoint(&server) };
    let asked = Question { words: Words::Prompt("1, 2,".to_owned()), ..question("") };
    let completion = ask_with(&outside(endpoint), asked).unwrap();
    assert_eq!((completion.text.as_str(), completion.finish.as_deref(), completion.tokens_in), (" 3", Some("length"), None));
    let request = &server.requests()[0];
    assert_eq!((request.target.as_str(), &request.body["prompt"]), ("/v1/completions", &json!("1, 2,")));
    assert!(!request.headers.contains_key("authorization"));
}

#[test]
fn a_connection_is_used_again() {
    let server = Server::start(|_, out| out.say("hello"));
    let outside = outside(endpoint(&server));
    for _ in 0..3 {
        assert_eq!(ask_with(&outside, question("hi")).unwrap().tries, 1);
    }
    assert!(server.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn a_kept_connection_that_the_server_closes_costs_no_answer() {
    // The second question goes over the connection of the first, which is closed in its face.
    let server = Server::start(|request, out| if request.nth == 1 { out.close() } else { out.say("hello") });
    let outside = outside(endpoint(&server));
    assert_eq!(ask_with(&outside, question("one")).unwrap().tries, 1);
    assert_eq!(ask_with(&outside, question("two")).unwrap().text, "hello");
    let connections: Vec<usize> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[test]
fn the_field_that_a_server_wants_is_learnt() {
    let refusal = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let server = Server::start(move |request, out| {
        if request.body.get("max_tokens").is_some() {
            out.json("400 Bad Request", &json!({ "error": { "message": refusal } }));
        } else {
            out.say("hello");
        }
    });
    // It is no further try: it shows only what a field is called.
    let endpoint = Endpoint { patience: Patience { tries: 1, ..patience() }, ..endpoint(&server) };
    let outside = outside(endpoint);
    assert_eq!(ask_with(&outside, question("one")).unwrap().tries, 2);
    assert_eq!(ask_with(&outside, question("two")).unwrap().tries, 1);
    assert_eq!(server.requests()[2].body["max_completion_tokens"], json!(16));
}

#[test]
fn a_server_that_wants_neither_field_is_asked_twice() {
    let server = Server::start(|_, out| {
        out.json("400 Bad Request", &json!({ "error": { "message": "use max_completion_tokens instead" } }));
    });
    assert_eq!(ask(endpoint(&server)).unwrap_err().code(), "refused");
    assert_eq!(server.requests().len(), 2);
}
