/// Length of the longest common subsequence of two sequences: the most items that appear in both in the same order,
/// not necessarily side by side (Hirschberg 1975, the rows without the path).
///
/// Time: the product of the lengths, after equal beginnings and endings are set aside. Memory: one row of the shorter.
#[must_use]
pub fn common_subsequence_length<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };

    // row[j]: length for the part of `long` read so far and the first j items of `short`.
    let mut row = vec![0; short.len() + 1];
    for x in long {
        let mut diagonal = 0;
        for (j, y) in short.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    head + row[short.len()] + tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::common_subsequence_length;

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|x| rest.any(|y| x == y))
    }

    #[test]
    fn known_words_share_known_lengths() {
        assert_eq!(common_subsequence_length(b"AGGTAB", b"GXTXAYB"), 4);
        assert_eq!(common_subsequence_length(b"abc", b"abc"), 3);
        assert_eq!(common_subsequence_length(b"abc", b"xyz"), 0);
        assert_eq!(common_subsequence_length::<u8>(b"", b"abc"), 0);
        assert_eq!(common_subsequence_length(&["the", "sky", "is", "blue"], &["the", "sea", "is", "blue"]), 3);
    }

    proptest! {
        #[test]
        fn it_agrees_with_trying_every_subsequence(
            a in proptest::collection::vec(0_u8..4, 0..10),
            b in proptest::collection::vec(0_u8..4, 0..14),
        ) {
            let best = (0_u32..1 << a.len())
                .map(|mask| (0..a.len()).filter(|i| mask >> i & 1 == 1).map(|i| a[i]).collect::<Vec<_>>())
                .filter(|part| is_subsequence(part, &b))
                .map(|part| part.len())
                .max();
            prop_assert_eq!(Some(common_subsequence_length(&a, &b)), best);
            prop_assert_eq!(common_subsequence_length(&a, &b), common_subsequence_length(&b, &a));
        }
    }
}
