//! Strings that end a continuation before them.

use std::ops::Range;

use serde_json::Value;

use super::fields::{Fields, wrong};
use crate::serve::http::refusal::Refusal;

/// What stands for a part of a character in a text that is not complete.
const PART: char = '\u{fffd}';

/// Most stop strings of a request, and characters in one: they are looked for after each token.
const MOST: usize = 16;
const LONGEST: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops(Vec<String>);

impl Stops {
    /// From the field `stop`: a string, or several.
    pub fn take(fields: &mut Fields) -> Result<Self, Refusal> {
        let must = format!("a string, or a list of at most {MOST} strings, of 1 to {LONGEST} characters each");
        let Some(value) = fields.take("stop") else { return Ok(Self::default()) };
        let stops: Option<Vec<String>> = match &value {
            Value::String(stop) => Some(vec![stop.clone()]),
            Value::Array(stops) => stops.iter().map(|stop| stop.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let stops =
            stops.filter(|stops| stops.len() <= MOST && stops.iter().all(|stop| (1..=LONGEST).contains(&stop.chars().count())));
        stops.map(Self).ok_or_else(|| wrong("stop", &must, &value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the stop string stands that is complete first, of several that end there the longest: whatever the pieces in which a text
    /// comes, it is the same.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        let found = self.0.iter().filter_map(|stop| text.find(stop.as_str()).map(|start| start..start + stop.len()));
        found.min_by_key(|range| (range.end, range.start))
    }

    /// Of a text that will go on, what will stay of it: without the parts of a character at its end, and without what may be the
    /// beginning of a stop string.
    pub fn sure<'a>(&self, text: &'a str) -> &'a str {
        let text = settled(text);
        let begins = |stop: &String| {
            stop.char_indices().map(|(at, _)| &stop[..at]).filter(|part| text.ends_with(part)).map(str::len).max()
        };
        &text[..text.len() - self.0.iter().filter_map(begins).max().unwrap_or(0)]
    }
}

/// A text without the parts of a character at its end.
pub fn settled(text: &str) -> &str {
    text.trim_end_matches(PART)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stops(stops: &[&str]) -> Stops {
        Stops(stops.iter().map(|stop| (*stop).to_owned()).collect())
    }

    #[test]
    fn a_stop_is_a_string_or_some_strings() {
        let take = |value: Value| {
            let mut fields = Fields::new(serde_json::from_value(json!({ "stop": value })).unwrap());
            Stops::take(&mut fields).map_err(|refusal| refusal.message)
        };
        assert_eq!(take(json!("a")), Ok(stops(&["a"])));
        assert_eq!(take(json!(["a", "b"])), Ok(stops(&["a", "b"])));
        assert_eq!(take(json!([])), Ok(stops(&[])));
        assert_eq!(take(json!(null)), Ok(stops(&[])));
        for wrong in [json!(""), json!(["a", ""]), json!(3), json!(["a", 3]), json!(vec!["a"; 17]), json!("a".repeat(1025))] {
            assert!(take(wrong).unwrap_err().starts_with("`stop` must be a string, or a list"));
        }
    }

    #[test]
    fn the_stop_that_is_complete_first_ends_the_text() {
        assert_eq!(stops(&["bcdX", "cd"]).find("abcdX"), Some(2..4));
        assert_eq!(stops(&["cd", "bcd"]).find("abcd"), Some(1..4));
        assert_eq!(stops(&["x"]).find("abcd"), None);
    }

    #[test]
    fn what_may_be_the_beginning_of_a_stop_is_held_back() {
        assert_eq!(stops(&["\n\nQ:"]).sure("one\n\nQ"), "one");
        assert_eq!(stops(&["\n\nQ:", "e\n\n\n"]).sure("one\n\n"), "on");
        assert_eq!(stops(&["aab"]).sure("aaa"), "a");
        assert_eq!(stops(&["x"]).sure("é\u{fffd}\u{fffd}"), "é");
        assert_eq!(stops(&[]).sure("one"), "one");
    }

    proptest! {
        #[test]
        fn the_cut_is_the_same_whatever_the_pieces(
            text in "[ab]{0,12}", some in prop::collection::vec("[ab]{1,4}", 0..3), lengths in prop::collection::vec(1usize..4, 12)
        ) {
            let stops = Stops(some);
            let want = stops.find(&text).map_or(text.as_str(), |range| &text[..range.start]);
            let (mut told, mut cut, mut end) = (String::new(), None, 0);
            for length in lengths {
                end = text.len().min(end + length);
                let so_far = &text[..end];
                cut = stops.find(so_far);
                let sure = cut.as_ref().map_or_else(|| stops.sure(so_far), |range| &so_far[..range.start]);
                prop_assert!(sure.starts_with(&told), "{sure:?} after {told:?}");
                sure.clone_into(&mut told);
                if cut.is_some() {
                    break;
                }
            }
            if cut.is_none() {
                text.clone_into(&mut told);
            }
            prop_assert_eq!(told, want);
        }
    }
}
