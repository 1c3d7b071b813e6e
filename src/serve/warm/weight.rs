//! What a resident takes, in bytes.

use std::collections::HashMap;

/// What several residents hold together: it counts once, however many they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Of its content.
    pub id: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub own: u64,
    pub shared: Option<Shared>,
}

pub fn total<'a>(weights: impl IntoIterator<Item = &'a Weight>) -> u64 {
    let mut own = 0_u64;
    let mut shared: HashMap<&str, u64> = HashMap::new();
    for weight in weights {
        own = own.saturating_add(weight.own);
        if let Some(Shared { id, bytes }) = &weight.shared {
            let known = shared.entry(id).or_default();
            *known = (*known).max(*bytes);
        }
    }
    shared.into_values().fold(own, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_counts_once_and_a_sum_does_not_overflow() {
        let on = |id: &str, own| Weight { own, shared: Some(Shared { id: id.to_owned(), bytes: 100 }) };
        assert_eq!(total(&[on("a", 1), on("a", 2), on("b", 3), Weight { own: 4, shared: None }]), 210);
        assert_eq!(total(&[on("a", u64::MAX), on("b", 1)]), u64::MAX);
        assert_eq!(total([]), 0);
    }
}
