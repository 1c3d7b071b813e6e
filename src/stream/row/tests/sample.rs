use proptest::prelude::*;

use super::*;

#[test]
fn the_sample_is_frozen() {
    // Figured with Python's `blake3`: 0.28780, 0.44806, 0.45965 and 0.01928.
    // The smallest rate, in steps of 1/1000, at which each is in.
    let first = |seed, key: &[u8]| (0..=1000).find(|rate| keep(f64::from(*rate) / 1000.0, seed, key));
    let found: Vec<_> =
        [(0, &b""[..]), (0, b"a"), (7, b"a"), (u64::MAX, b"{\"prompt\":\"hello\"}")].map(|(seed, key)| first(seed, key)).into();
    assert_eq!(found, [Some(288), Some(449), Some(460), Some(20)]);
}

#[test]
fn a_sample_is_about_as_large_as_its_rate_says() {
    let kept = (0..10_000_u32).filter(|row| keep(0.1, 7, &row.to_le_bytes())).count();
    assert!((900..1100).contains(&kept), "{kept}");
}

#[test]
fn a_row_is_chosen_by_what_it_holds_wherever_it_is() {
    let sample = Some(Sample { rate: 0.5, seed: 3 });
    let lines: Vec<String> = (0..64).map(|row| format!("{{\"prompt\":\"{row}\"}}")).collect();
    let chosen = |name: &str, bytes: &[u8], wanted: Wanted| {
        let (object, source) = object(name, bytes);
        let mut rows: Vec<String> = told(&object, &source, &Options { sample, ..options(name, wanted) })
            .rows
            .iter()
            .map(|row| row.value.as_str().unwrap().to_owned())
            .collect();
        rows.sort();
        rows
    };
    let forwards = chosen("a.jsonl", lines.join("\n").as_bytes(), field("prompt"));
    let backwards =
        chosen("b.jsonl.gz", &gzip(lines.iter().rev().cloned().collect::<Vec<_>>().join(" \r\n").as_bytes()), field("prompt"));
    assert_eq!(forwards, backwards);
    assert!((16..48).contains(&forwards.len()), "{}", forwards.len());
    let table: String =
        std::iter::once("id,prompt\n".to_owned()).chain((0..64).map(|row| format!("{},{row}\n", row * 7))).collect();
    // A column of CSV is chosen by the same bytes as the line of JSON that holds just that.
    assert_eq!(chosen("a.csv", table.as_bytes(), field("prompt")), forwards);
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let (object, source) = object("a.txt", b"a");
    for rate in [-0.1, 1.1, f64::NAN] {
        let options = Options { sample: Some(Sample { rate, seed: 0 }), ..options("a.txt", Wanted::Row) };
        assert!(told(&object, &source, &options).fault.unwrap().contains("between 0 and 1"));
    }
}

proptest! {
    #[test]
    fn samples_are_nested(low in 0.0..=1.0_f64, high in 0.0..=1.0_f64, seed: u64, key: Vec<u8>) {
        let (low, high) = (low.min(high), low.max(high));
        prop_assert!(!keep(low, seed, &key) || keep(high, seed, &key));
        prop_assert!(keep(1.0, seed, &key) && !keep(0.0, seed, &key));
    }
}
