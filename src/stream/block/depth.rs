//! How far ahead a reader reads.

/// After so many blocks it is looked whether fewer ahead would do.
const LOOKS: u32 = 16;

/// How many blocks a reader has ahead. It doubles whenever the reader had to wait, as one request more in the time that one takes is
/// what was short; and it falls by half of what lay ready all the time, as that was of no use.
#[derive(Debug, PartialEq, Eq)]
pub struct Depth {
    blocks: u64,
    /// The fewest blocks that lay ready behind the one that was read, since the last look.
    slack: u64,
    read: u32,
}

impl Default for Depth {
    fn default() -> Self {
        Self { blocks: 1, slack: u64::MAX, read: 0 }
    }
}

impl Depth {
    /// At least 1.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// A block was read, for which the reader had to wait or not; `ready` blocks behind it have come, and there may be `most` at most.
    pub fn read(&mut self, has_waited: bool, ready: u64, most: u64) {
        if has_waited {
            *self = Self { blocks: self.blocks.saturating_mul(2).min(most).max(1), ..Self::default() };
            return;
        }
        self.slack = self.slack.min(ready);
        self.read += 1;
        if self.read >= LOOKS {
            // One that lies ready is what reading ahead is for.
            let spare = self.slack.saturating_sub(1).div_ceil(2);
            *self = Self { blocks: self.blocks.saturating_sub(spare).max(1), ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_grows_while_the_reader_waits_and_shrinks_when_blocks_pile_up() {
        let mut depth = Depth::default();
        let mut depths = vec![depth.blocks()];
        for _ in 0..5 {
            depth.read(true, 0, 12);
            depths.push(depth.blocks());
        }
        assert_eq!(depths, [1, 2, 4, 8, 12, 12]);
        for _ in 0..10 * LOOKS {
            depth.read(false, depth.blocks().saturating_sub(5), 12);
        }
        assert_eq!(depth.blocks(), 6, "five on their way and one ready");
        for _ in 0..LOOKS {
            depth.read(false, 0, 12);
        }
        assert_eq!(depth.blocks(), 6, "where nothing lies ready, nothing is spare");
    }

    proptest! {
        #[test]
        fn it_is_never_nothing_and_never_more_than_it_may(steps in prop::collection::vec((any::<bool>(), 0_u64..50), 0..200), most in 0_u64..40) {
            let mut depth = Depth::default();
            for (has_waited, ready) in steps {
                depth.read(has_waited, ready, most);
                prop_assert!((1..=most.max(1)).contains(&depth.blocks()));
            }
        }
    }
}
