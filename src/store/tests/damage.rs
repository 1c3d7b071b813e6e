//! Files that something else has damaged.

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const RESPONSES: u64 = 60;

/// A store of some fifty pages, closed, so that all of it is in one file.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let home = Home::new();
    let store = home.open();
    let responses: Vec<_> = (0..RESPONSES).map(|n| (key(n), response(n, (n * 97 % 6000) as usize))).collect();
    store.responses(HOUR).put(&responses, minute(0)).unwrap();
    store.put_fact(&key(0), "fact", "{\"a\":1}", minute(0)).unwrap();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let rows: Vec<_> = (0..40).map(|case| Row::Stage(stage(case, &format!("prompt {case}")))).collect();
    run.write(&rows, minute(1)).unwrap();
    run.finish(&finish(Finished::Interrupted), minute(2)).unwrap();
    drop(store);
    assert_eq!(home.names(), ["sway.db"], "nothing is left in a log");
    fs::read(home.path()).unwrap()
});

/// Opens it, and tries all there is: nothing panics, nothing wrong is read, and what is refused is left as it was. Gives whether it was
/// opened.
fn check(bytes: &[u8]) -> bool {
    let home = Home::new();
    fs::write(home.path(), bytes).unwrap();
    let store = match Store::open(&home.path()) {
        Ok(store) => store,
        Err(error) => {
            let known = matches!(error, StoreError::Corrupt { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. });
            assert!(known, "{error:?}");
            assert!(fs::read(home.path()).unwrap() == bytes, "it was changed");
            assert_eq!(home.names(), ["sway.db"]);
            return false;
        }
    };
    for n in 0..RESPONSES {
        match store.responses(Duration::MAX).get(&[key(n)], minute(0)) {
            Ok(found) => {
                let expected = response(n, (n * 97 % 6000) as usize);
                assert!(found == [None] || found == [Some(expected)], "response {n}: {found:?}");
            }
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}"),
        }
    }
    match store.get_fact(&key(0), minute(0)) {
        Ok(fact) => assert!(fact.is_none() || fact.as_deref() == Some("{\"a\":1}")),
        Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}"),
    }
    // What these give is of no matter, so long as they give something.
    let _ = (store.integrity_check(), store.stats(), store.runs(10), store.run(RunId(1), &Filter::default()));
    let _ = store.resume(RunId(1), minute(5)).map(|run| {
        let _ = run.write(&[Row::Stage(stage(3, "other"))], minute(6));
        run.finish(&finish(Finished::Completed), minute(7))
    });
    let _ = store.responses(HOUR).put(&[(key(3), response(3, 5000)), (key(1000), response(0, 100))], minute(8));
    let _ = (store.prune(Limits { ttl: HOUR, max_bytes: 9000 }, minute(9)), store.clear());
    true
}

#[test]
fn a_store_that_is_cut_off_is_refused_or_read_as_far_as_it_is_right() {
    let whole = &*WHOLE;
    assert!(check(whole));
    assert!(check(&[]), "an empty file is a new store");
    let mut lengths: Vec<usize> = vec![1, 15, 16, 17, 18, 99, 100, 101, 511, 512, 513, 1023, 4095, 4096, 4097];
    lengths.extend((1..whole.len()).step_by(3001));
    lengths.extend((4096..whole.len()).step_by(4096 * 3));
    for length in lengths {
        let opened = check(&whole[..length]);
        assert!(!opened || length > whole.len() - 4096, "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_flipped_bit_in_the_header_is_found_or_of_no_matter() {
    for at in 0..100 {
        for bit in [0, 1, 2, 7] {
            let mut bytes = WHOLE.clone();
            bytes[at] ^= 1 << bit;
            let opened = check(&bytes);
            // The magic words, the page size, the mark, the version and the kind of vacuum must be right.
            let decides = matches!(at, 0..=17 | 20..=23 | 60..=63 | 68..=71);
            assert!(!(opened && decides), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_give_a_wrong_response(flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4)) {
        let mut bytes = WHOLE.clone();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        check(&bytes);
    }

    #[test]
    fn a_page_that_was_lost_never_gives_a_wrong_response(page: prop::sample::Index, other: prop::sample::Index, zero: bool) {
        let mut bytes = WHOLE.clone();
        let pages = bytes.len() / 4096;
        let (page, other) = (page.index(pages), other.index(pages));
        let lost = page * 4096..(page + 1) * 4096;
        if zero { bytes[lost].fill(0) } else { bytes.copy_within(other * 4096..(other + 1) * 4096, lost.start) }
        check(&bytes);
    }
}
