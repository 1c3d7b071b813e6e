//! Figures for people: the same number always reads the same, a minus is `−`, and nothing reads `−0.00`.

use crate::record::Estimate;

/// Three significant digits: `0.310`, `12.3`, `1,235`, `1.23e−4`.
pub(super) fn significant(x: f64) -> String {
    if !x.is_finite() {
        return non_finite(x);
    }
    if x == 0.0 {
        return "0".to_owned();
    }
    match exponent(x) {
        exponent @ -3..6 => fixed(x, (2 - exponent).max(0) as usize),
        _ => format!("{x:.2e}").replace('-', "−"),
    }
}

/// A fixed number of decimals, thousands grouped.
pub(super) fn fixed(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return non_finite(x);
    }
    let digits = format!("{:.decimals$}", x.abs());
    let (whole, fraction) = digits.split_once('.').map_or((digits.as_str(), None), |(whole, fraction)| (whole, Some(fraction)));
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let mut text = if x < 0.0 && !zero { "−".to_owned() } else { String::new() };
    text.push_str(&grouped(whole));
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A number that someone typed, as they typed it where that is short: `0.02`, `−0.5`, `512`.
pub(super) fn typed(x: f64) -> String {
    let text = x.to_string();
    if x.is_finite() && text.len() <= 8 { text.replace('-', "−") } else { significant(x) }
}

/// An estimate as value and interval, both to the decimals that the interval's width supports: two digits of it.
pub(super) fn estimate(estimate: &Estimate) -> (String, Option<String>) {
    let Some([low, high]) = estimate.interval else {
        return (significant(estimate.value), None);
    };
    let width = high - low;
    let decimals = if width > 0.0 && width.is_finite() { 1 - exponent(width) } else { i32::MAX };
    if decimals > 6 {
        return (significant(estimate.value), Some(format!("[{}, {}]", significant(low), significant(high))));
    }
    let decimals = decimals.max(0) as usize;
    (fixed(estimate.value, decimals), Some(format!("[{}, {}]", fixed(low, decimals), fixed(high, decimals))))
}

/// An estimate in one piece: `0.31 [0.26, 0.36]`.
pub(super) fn estimate_in_words(of: &Estimate) -> String {
    match estimate(of) {
        (value, Some(interval)) => format!("{value} {interval}"),
        (value, None) => value,
    }
}

/// A score in [0, 1].
pub(super) fn score(x: f64) -> String {
    fixed(x, 2)
}

/// A z-score.
pub(super) fn z(x: f64) -> String {
    fixed(x, 1)
}

/// A p-value, or its corrected form.
pub(super) fn p(x: f64) -> String {
    if x.is_finite() && x < 0.001 { "< 0.001".to_owned() } else { fixed(x, 3) }
}

/// `25.7 %` of 0.257.
pub(super) fn percent(fraction: f64) -> String {
    format!("{} %", fixed(fraction * 100.0, 1))
}

/// A count, thousands grouped.
pub(super) fn count(n: u64) -> String {
    grouped(&n.to_string())
}

/// `1 probe`, `2 probes`, `3 batches`.
pub(super) fn plural(n: u64, noun: &str) -> String {
    let ending = match n {
        1 => "",
        _ if noun.ends_with("ch") || noun.ends_with("ss") => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", count(n))
}

/// A model's size: `724 k`, `1.10 B`.
pub(super) fn parameters(n: u64) -> String {
    let x = n as f64;
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{} k", significant(x / 1e3)),
        1_000_000..1_000_000_000 => format!("{} M", significant(x / 1e6)),
        _ => format!("{} B", significant(x / 1e9)),
    }
}

/// A duration.
pub(super) fn seconds(s: f64) -> String {
    let whole = if s.is_finite() && s > 0.0 { s.round() as u64 } else { 0 };
    match whole {
        0..10 => format!("{} s", fixed(s, 2)),
        10..100 => format!("{} s", fixed(s, 1)),
        100..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A size in memory.
pub(super) fn bytes(n: u64) -> String {
    let x = n as f64;
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => format!("{} KiB", significant(x / 1_024.0)),
        1_048_576..1_073_741_824 => format!("{} MiB", significant(x / 1_048_576.0)),
        _ => format!("{} GiB", significant(x / 1_073_741_824.0)),
    }
}

/// The first 12 hex digits of a digest.
pub(super) fn short(digest: &str) -> &str {
    digest.char_indices().nth(12).map_or(digest, |(end, _)| &digest[..end])
}

fn non_finite(x: f64) -> String {
    if x.is_nan() {
        "NaN".to_owned()
    } else if x > 0.0 {
        "∞".to_owned()
    } else {
        "−∞".to_owned()
    }
}

/// The decimal exponent of `x` once it is rounded to three digits: 9.996 counts as 10.
fn exponent(x: f64) -> i32 {
    let text = format!("{x:.2e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_at_every_size() {
        let read = |x| significant(x);
        assert_eq!(read(0.31), "0.310");
        assert_eq!(read(9.996), "10.0");
        assert_eq!(read(99.96), "100");
        assert_eq!(read(1234.5), "1,234");
        assert_eq!(read(0.001_234), "0.00123");
        assert_eq!(read(0.000_123_4), "1.23e−4");
        assert_eq!(read(-2.5e9), "−2.50e9");
        assert_eq!(read(0.0), "0");
        assert_eq!(read(-0.0), "0");
        assert_eq!(read(f64::NAN), "NaN");
        assert_eq!(read(f64::NEG_INFINITY), "−∞");
    }

    #[test]
    fn nothing_reads_minus_zero() {
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-0.006, 2), "−0.01");
        assert_eq!(fixed(-1234.0, 0), "−1,234");
    }

    #[test]
    fn an_interval_shows_the_digits_that_it_supports() {
        let read = |value, interval| estimate_in_words(&Estimate { value, interval, n: 9, clusters: None });
        assert_eq!(read(0.31, Some([0.26, 0.36])), "0.31 [0.26, 0.36]");
        assert_eq!(read(0.011, Some([-0.012, 0.034])), "0.011 [−0.012, 0.034]");
        assert_eq!(read(0.0004, Some([-0.6, 0.6])), "0.0 [−0.6, 0.6]");
        assert_eq!(read(1234.4, Some([800.0, 2000.0])), "1,234 [800, 2,000]");
        assert_eq!(read(1.0, Some([1.0, 1.0])), "1.00 [1.00, 1.00]");
        assert_eq!(read(2e-9, Some([1e-9, 3e-9])), "2.00e−9 [1.00e−9, 3.00e−9]");
        assert_eq!(read(0.5, None), "0.500");
    }

    #[test]
    fn what_was_typed_reads_as_typed() {
        assert_eq!(typed(0.02), "0.02");
        assert_eq!(typed(-0.5), "−0.5");
        assert_eq!(typed(512.0), "512");
        assert_eq!(typed(1.0 / 3.0), "0.333");
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!(seconds(0.412), "0.41 s");
        assert_eq!(seconds(42.04), "42.0 s");
        assert_eq!(seconds(125.2), "2 min 05 s");
        assert_eq!(seconds(7260.0), "2 h 01 min");
        assert_eq!(bytes(312 * 1_048_576), "312 MiB");
        assert_eq!(parameters(724_128), "724 k");
        assert_eq!(parameters(1_100_048_384), "1.10 B");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "batch"), "1 batch");
        assert_eq!(plural(2, "batch"), "2 batches");
    }
}
