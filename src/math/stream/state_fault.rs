/// Why two states can't be folded into one, or one can't be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// The states were begun with different seeds or bounds.
    #[error("states that were begun with another {what} can't be merged\nhint: fold only shards of one run of one suite")]
    Unlike {
        /// What differs.
        what: &'static str,
    },
    /// An item is in both states, or was pushed twice.
    #[error("item {index} is counted twice\nhint: fold each shard of a run once")]
    Twice {
        /// The item.
        index: u64,
    },
    /// What was read is no state that folding could have made.
    #[error("the state of {state} is damaged: {what}")]
    Damaged {
        /// Which state.
        state: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}
