//! What a course has come to: all that must outlive its process, or come together from several machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clusters::Clusters;
use super::kept::Kept;
use crate::math::stream::Sequential;
use crate::probe::lot::Draw;
use crate::probe::shard::item_hash;
use crate::probe::{Probe, RowMark, RowPlace};

/// Errors told in words; the rest are counted.
pub const MOST_ERRORS: usize = 5;

/// What a course has come to between two windows: nothing is in flight.
#[derive(Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct State<P: Probe> {
    /// Items that were drawn: the index of the next.
    pub drawn: usize,
    /// There are no more.
    pub is_over: bool,
    /// Where the rows of its sources go on, where that can be told.
    pub at: Option<RowMark>,
    pub measured: usize,
    /// Prompts of measured items that were asked as texts.
    pub asked_raw: usize,
    /// Indices of the items that are longer than the model's context, and were left out.
    pub too_long: BTreeSet<u64>,
    pub failed: usize,
    /// By item, the first few of them.
    pub errors: BTreeMap<usize, String>,
    /// The adapter.
    pub kept: Kept<P>,
    /// The adapter on the calibrated items alone.
    pub same_items: Kept<P>,
    /// The adapter without the chat template.
    pub plain: Kept<P>,
    /// One for each null view.
    pub nulls: Vec<Kept<P>>,
    pub clusters: Clusters,
    /// Where the items were not counted, those to ask under the nulls as far as it can be told; `None` once they are asked.
    pub draw: Option<Draw<Chosen<P::Item>>>,
    /// Hash of all items that were drawn, those of other parts with them; only of a part.
    pub seen: Option<[u8; 32]>,
    /// Where the course ends with its verdict, and not with its items: what settles it.
    pub test: Option<Sequential>,
}

/// An item to be asked again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen<I> {
    /// `None` of one that another machine has.
    #[serde(with = "shared", bound(serialize = "I: Serialize", deserialize = "I: Deserialize<'de>"))]
    pub item: Option<Arc<I>>,
    pub cluster: Option<String>,
}

impl<P: Probe> State<P> {
    pub fn new(kept: fn() -> Kept<P>, nulls: usize) -> Self {
        Self {
            drawn: 0,
            is_over: false,
            at: None,
            measured: 0,
            asked_raw: 0,
            too_long: BTreeSet::new(),
            failed: 0,
            errors: BTreeMap::new(),
            kept: kept(),
            same_items: kept(),
            plain: kept(),
            nulls: (0..nulls).map(|_| kept()).collect(),
            clusters: Clusters::default(),
            draw: None,
            seen: None,
            test: None,
        }
    }

    pub fn note_error(&mut self, index: usize, place: Option<&RowPlace>, message: &str) {
        self.failed += 1;
        let first_line = message.lines().next().unwrap_or_default();
        let place = place.map_or(String::new(), |RowPlace { file, line }| format!(" ({file}:{line})"));
        self.errors.insert(index, format!("item {}{place}: {first_line}", index + 1));
        self.keep_first_errors();
    }

    fn keep_first_errors(&mut self) {
        while self.errors.len() > MOST_ERRORS {
            self.errors.pop_last();
        }
    }

    /// Notes that an item of this hash was drawn.
    pub fn note_seen(&mut self, hash: &[u8; 32]) {
        let before = self.seen.unwrap_or_default();
        self.seen = Some(item_hash(&[before.as_slice(), hash].concat()));
    }

    /// What one machine would have come to.
    ///
    /// # Errors
    /// Parts that are not whole, or not of the same items.
    pub fn merge(parts: Vec<Self>, probe: &P) -> Result<Self, String> {
        let Some(first) = parts.first() else { return Err("there are no parts".to_owned()) };
        let mut whole = Self { drawn: first.drawn, is_over: true, seen: first.seen, ..Self::new(Kept::whole, 0) };
        let nulls = first.nulls.len();
        if parts.iter().any(|part| !part.is_over || part.draw.is_some()) {
            return Err("a part did not come to its end".to_owned());
        }
        if parts.iter().any(|part| (part.drawn, part.seen, part.nulls.len()) != (whole.drawn, whole.seen, nulls)) {
            return Err(
                "the parts saw other items: what the suite names was not the same on all machines, or changed between them"
                    .to_owned(),
            );
        }
        let (mut kept, mut same_items, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let mut of_nulls: Vec<Vec<Kept<P>>> = (0..nulls).map(|_| Vec::new()).collect();
        for part in parts {
            whole.measured += part.measured;
            whole.asked_raw += part.asked_raw;
            whole.failed += part.failed;
            whole.too_long.extend(part.too_long);
            whole.errors.extend(part.errors);
            whole.clusters.merge(&part.clusters);
            kept.push(part.kept);
            same_items.push(part.same_items);
            plain.push(part.plain);
            for (all, null) in of_nulls.iter_mut().zip(part.nulls) {
                all.push(null);
            }
        }
        whole.keep_first_errors();
        let (found, all) = (whole.measured + whole.failed + whole.too_long.len(), whole.drawn);
        if found != all {
            return Err(format!("the parts hold {found} of {all} items: one part is missing, or is there twice"));
        }
        whole.kept = Kept::merge(kept, probe)?;
        whole.same_items = Kept::merge(same_items, probe)?;
        whole.plain = Kept::merge(plain, probe)?;
        whole.nulls = of_nulls.into_iter().map(|parts| Kept::merge(parts, probe)).collect::<Result<_, _>>()?;
        Ok(whole)
    }
}

/// An item that several hold, written as the item.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives a field as it is")]
    pub fn serialize<I: Serialize, S: Serializer>(item: &Option<Arc<I>>, serializer: S) -> Result<S::Ok, S::Error> {
        item.as_deref().serialize(serializer)
    }

    pub fn deserialize<'de, I: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<I>>, D::Error> {
        Ok(Option::<I>::deserialize(deserializer)?.map(Arc::new))
    }
}
