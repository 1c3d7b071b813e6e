//! The groups of measured items.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

/// The groups that items name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Clusters {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Index of each item that names one, and its number among the names.
    items: Vec<(u64, u32)>,
}

impl Clusters {
    pub fn add(&mut self, index: u64, name: Option<&str>) {
        let Some(name) = name else { return };
        let number = self.numbers.get(name).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            self.names.push(name.to_owned());
            self.numbers.insert(name.to_owned(), number);
            number
        });
        self.items.push((index, number));
    }

    pub fn merge(&mut self, other: &Self) {
        for &(index, number) in &other.items {
            self.add(index, other.names.get(number as usize).map(String::as_str));
        }
    }

    /// The group of each of the items, of which there are so many, as a number: one for each group, and one for each item that names
    /// none, in the order in which they come. None at all where no item names one. `left_out`: indices that are none of theirs.
    pub fn numbers(&self, items: usize, left_out: &BTreeSet<u64>) -> Vec<usize> {
        if self.items.is_empty() {
            return Vec::new();
        }
        let named: HashMap<u64, u32> = self.items.iter().copied().collect();
        let mut given: HashMap<u32, usize> = HashMap::new();
        let mut fresh = 0..;
        let mut next = || fresh.next().unwrap_or_default();
        let group = |index: u64| match named.get(&index) {
            Some(&number) => *given.entry(number).or_insert_with(&mut next),
            None => next(),
        };
        (0..).filter(|index| !left_out.contains(index)).take(items).map(group).collect()
    }
}

/// As they are written: what can be told from the rest is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    names: Vec<String>,
    items: Vec<(u64, u32)>,
}

impl From<Clusters> for Stored {
    fn from(Clusters { names, items, .. }: Clusters) -> Self {
        Self { names, items }
    }
}

impl TryFrom<Stored> for Clusters {
    type Error = String;

    fn try_from(Stored { names, items }: Stored) -> Result<Self, String> {
        if items.iter().any(|(_, number)| *number as usize >= names.len()) {
            return Err("an item is in a group that has no name".to_owned());
        }
        let numbers = names.iter().cloned().zip(0..).collect();
        Ok(Self { names, numbers, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(names: &[Option<&str>]) -> Clusters {
        let mut clusters = Clusters::default();
        for (index, name) in names.iter().enumerate() {
            clusters.add(index as u64, *name);
        }
        clusters
    }

    const NONE: BTreeSet<u64> = BTreeSet::new();

    const A: Option<&str> = Some("a");
    const B: Option<&str> = Some("b");

    #[test]
    fn a_group_has_a_number_and_each_item_without_one_has_its_own() {
        assert_eq!(clusters(&[None, None]).numbers(2, &NONE), [] as [usize; 0]);
        assert_eq!(clusters(&[None, None, A, None, B, A, None]).numbers(7, &NONE), [0, 1, 2, 3, 4, 2, 5]);
        assert_eq!(clusters(&[A, A, B]).numbers(3, &NONE), [0, 0, 1]);
        let mut without = Clusters::default();
        for (index, name) in [(0, A), (3, B), (4, A)] {
            without.add(index, name);
        }
        assert_eq!(without.numbers(4, &[1].into()), [0, 1, 2, 0], "the second is left out, and the third names none");
    }

    #[test]
    fn parts_have_the_groups_of_the_whole_in_whatever_order_they_come() {
        let names = [None, B, A, None, B, A, None, Some("c")];
        let whole = clusters(&names);
        let (mut even, mut odd) = (Clusters::default(), Clusters::default());
        for (index, name) in names.into_iter().enumerate() {
            if index % 2 == 0 { &mut even } else { &mut odd }.add(index as u64, name);
        }
        let read: Clusters = rmp_serde::from_slice(&rmp_serde::to_vec_named(&odd).unwrap()).unwrap();
        assert_eq!(read, odd);
        odd.merge(&even);
        assert_eq!(odd.numbers(8, &NONE), whole.numbers(8, &NONE));
        even.merge(&read);
        assert_eq!(even.numbers(8, &NONE), whole.numbers(8, &NONE));
    }
}
