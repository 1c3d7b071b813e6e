/// Of the words that are known, the one that was probably meant; for a hint.
///
/// Upper case and `-` for `_` count as nothing. Otherwise about one slip (a letter too many, too few, wrong, or two
/// swapped) in three letters is forgiven, and a word of which only a part was typed is found.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Of a long text nothing was meant, and comparing it is slow.
    let word = plain(word);
    let letters = word.chars().count();
    if letters == 0 || letters > 64 {
        return None;
    }
    let slips = (letters / 3).max(1);
    known
        .into_iter()
        .filter_map(|candidate| {
            let other = plain(candidate);
            let distance = strsim::damerau_levenshtein(&word, &other);
            // A short word is another word as soon as it begins with another letter: no `gpu` is a `cpu`.
            let begins_alike = letters > 4 || word.chars().next() == other.chars().next();
            let close = distance <= slips && begins_alike && distance < letters;
            let (short, long) = if word.len() < other.len() { (&word, &other) } else { (&other, &word) };
            let part = short.len() >= 3 && long.contains(short.as_str());
            (close || part).then_some((!close, distance, candidate))
        })
        .min_by_key(|&(only_a_part, distance, _)| (only_a_part, distance))
        .map(|(_, _, candidate)| candidate)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 5] = ["delta_kl", "cluster_kl", "leakage", "preference_flip", "null_adapter"];

    #[test]
    fn a_slip_finds_the_word() {
        assert_eq!(nearest("detla_kl", KINDS), Some("delta_kl"));
        assert_eq!(nearest("Delta-KL", KINDS), Some("delta_kl"));
        assert_eq!(nearest("leak", KINDS), Some("leakage"));
        assert_eq!(nearest("preference", KINDS), Some("preference_flip"));
        assert_eq!(nearest("knd", ["name", "kind"]), Some("kind"));
        assert_eq!(nearest("f61", ["f32", "bf16", "f16"]), Some("f16"));
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("temperature", KINDS), None);
        assert_eq!(nearest("", KINDS), None);
        assert_eq!(nearest("x", ["a", "b"]), None);
        assert_eq!(nearest("gpu", ["cpu", "metal"]), None);
        assert_eq!(nearest(&"leakage".repeat(100_000), KINDS), None);
    }
}
