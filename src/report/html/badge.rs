//! A verdict as a word with a sign; its colour only repeats them.

use std::fmt::{self, Display, Formatter};

use crate::record::Verdict;

pub(super) struct Badge(pub Verdict);

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, sign) = (self.0.name(), sign(self.0));
        write!(f, r#"<span class="badge {name}"><span aria-hidden="true">{sign}</span> {name}</span>"#)
    }
}

fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => '✓',
        Verdict::Fail => '✕',
        Verdict::Warn => '!',
        Verdict::Skip => '–',
        Verdict::Error => '×',
        Verdict::Inconclusive => '?',
    }
}
