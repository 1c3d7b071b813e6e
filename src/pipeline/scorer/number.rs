//! Whether a text gives the right number.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::super::{Scene, Template};

/// A number that an answer must come near to.
#[derive(Clone, Debug)]
pub struct NumberNear {
    pub target: Template,
    /// Most that it may be off.
    tolerance: f64,
    /// The same as a share of the target's size; the larger of the two holds.
    relative: f64,
    which: Which,
}

/// Which of the numbers in a text is its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    First,
    /// Where a model reasons before it answers.
    #[default]
    Last,
}

/// Digits, in groups of three or not, with a fraction and an exponent.
static NUMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").ok());

impl NumberNear {
    pub fn new(target: Template, [tolerance, relative]: [f64; 2], which: Which) -> Result<Self, String> {
        for (name, value) in [("tolerance", tolerance), ("relative", relative)] {
            if !value.is_finite() || value < 0.0 {
                return Err(format!("`{name}` must be 0 or more, and finite, not {value}"));
            }
        }
        Ok(Self { target, tolerance, relative, which })
    }

    /// Whether the answer is near enough. One without a number is not.
    ///
    /// # Errors
    /// A target that is no number.
    pub fn is_in(&self, scene: &Scene<'_>, output: &str) -> Result<bool, String> {
        let target = self.target.render(scene)?;
        let wanted = match numbers(&target).as_slice() {
            [one] => *one,
            _ => return Err(format!("`target` is no number: {target:?}")),
        };
        let found = numbers(output);
        let answer = if self.which == Which::First { found.first() } else { found.last() };
        Ok(answer.is_some_and(|answer| (answer - wanted).abs() <= self.tolerance.max(self.relative * wanted.abs())))
    }
}

/// The numbers in a text, in their order. A sign counts where it can't be a hyphen.
fn numbers(text: &str) -> Vec<f64> {
    let Some(number) = NUMBER.as_ref() else { return Vec::new() };
    let value = |found: regex::Match<'_>| {
        let before = &text[..found.start()];
        let signed = before.strip_suffix(['-', '−']).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()));
        let size = found.as_str().replace(',', "").parse::<f64>().ok().filter(|size| size.is_finite())?;
        // A part of a name (`v2`, `x86`) is no number of its own.
        let is_part_of_word = before.ends_with(|c: char| c.is_alphabetic() || c == '_');
        (!is_part_of_word).then_some(if signed { -size } else { size })
    };
    number.find_iter(text).filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for (text, found) in [
            ("It is 1,234.5 kg, not -3 or −4.", vec![1234.5, -3.0, -4.0]),
            ("pages 3-4 of 10", vec![3.0, 4.0, 10.0]),
            ("6.02e23 and 1e-3", vec![6.02e23, 1e-3]),
            ("v2 of x86, 7.", vec![7.0]),
            ("$12,50", vec![12.0, 50.0]),
            ("none", vec![]),
            ("9".repeat(400).as_str(), vec![]),
        ] {
            assert_eq!(numbers(text), found, "{text}");
        }
    }
}
