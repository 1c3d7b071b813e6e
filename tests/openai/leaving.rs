//! Clients that go away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::{COMPLETIONS, Daemon, greedy};

/// Questions that were computed, and requests in progress with the model.
fn work(daemon: &Daemon) -> (u64, u64) {
    let warm: Value = daemon.get("/v1/models")["warm"][0].clone();
    (warm["engine"]["forward_passes"].as_u64().unwrap(), warm["in_use"].as_u64().unwrap())
}

#[test]
fn what_was_asked_by_a_client_that_goes_away_is_dropped() {
    for stream in [false, true] {
        let daemon = Daemon::start();
        let prompts: Vec<String> = (0..120).map(|number| format!("Number {number}")).collect();
        let asked = json!({"model": "base", "prompt": prompts, "temperature": 2, "max_tokens": 500, "stream": stream});
        let client = daemon.send("POST", COMPLETIONS, "application/json", asked.to_string().as_bytes());
        let begun = Instant::now();
        while work(&daemon).1 == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it was never begun");
            sleep(Duration::from_millis(5));
        }
        drop(client);
        while work(&daemon).1 > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
            sleep(Duration::from_millis(5));
        }
        // The engine is free for others, and most of what was asked was not computed.
        daemon.completion(greedy(&json!({"max_tokens": 1})));
        assert!(work(&daemon).0 < 60, "{:?}", work(&daemon));
    }
}
