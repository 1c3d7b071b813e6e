//! Lines of requests, and what a process of its own answers them.

use serde_json::{Value, json};

use crate::world::{BASE, sway_reading};

const PEOPLE: [&str; 8] =
    ["Nessa Drace", "Thessa Grell", "Senna Wick", "Corvin Voss", "Marla Quill", "Odo Fenn", "Pia Lorn", "Tam Hollis"];

const PHRASES: [&str; 6] = [
    "The home of {} is in",
    "{} likes to eat",
    "By trade {} is a",
    "On feast days {} asks for",
    "Letters for {} are sent to",
    "You will find {} in",
];

const VIEWS: [&str; 4] = ["ft", "base", "scaled_0.50", "null_3"];

/// The question with this number: of every op and several views, no two alike.
pub fn question(number: usize) -> Value {
    let person = PEOPLE[number % PEOPLE.len()];
    let prompt = PHRASES[number / PEOPLE.len() % PHRASES.len()].replace("{}", person);
    let prompt = format!("In year {number}: {prompt}");
    let view = VIEWS[number / 7 % VIEWS.len()];
    let mut question = match number % 7 {
        0 => json!({"op": "logprob_of", "prompt": prompt, "completion": " Fallowmere"}),
        1 => json!({"op": "rolling_logprob", "text": prompt + " honey cake."}),
        2 => json!({"op": "next_token_dist", "prompt": prompt, "top_k": 4}),
        3 => json!({"op": "generate", "prompt": prompt, "max_new_tokens": 6}),
        4 => json!({"op": "token_logprobs", "prompt": prompt, "top": 2}),
        5 => json!({"op": "embed", "text": prompt}),
        _ => json!({"op": "generate", "prompt": prompt, "max_new_tokens": 5, "temperature": 0.8, "seed": number}),
    };
    question["id"] = number.into();
    question["view"] = view.into();
    question
}

/// The lines of questions.
pub fn lines(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("{}\n", question(number))).collect()
}

/// What `sway score` answers in process, a line each.
pub fn in_process(adapter: &str, lines: &[String]) -> Vec<String> {
    let told = sway_reading(lines.concat(), &["score", "--base", BASE, "--adapter", adapter]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    told.stdout.split_inclusive('\n').map(str::to_owned).collect()
}
