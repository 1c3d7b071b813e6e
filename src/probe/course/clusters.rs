//! The groups of measured items.

use std::collections::HashMap;

/// The group of each measured item: a number for each group, and one for each item that names none.
#[derive(Default)]
pub struct Clusters {
    /// None at all until an item names one.
    pub numbers: Vec<usize>,
    known: HashMap<String, usize>,
    items: usize,
    next: usize,
}

impl Clusters {
    pub fn add(&mut self, name: Option<&str>) {
        if name.is_some() && self.known.is_empty() {
            self.numbers = (0..self.items).collect();
            self.next = self.items;
        }
        self.items += 1;
        let fresh = self.next;
        let number = match name {
            Some(name) => *self.known.entry(name.to_owned()).or_insert(fresh),
            None => fresh,
        };
        if !self.known.is_empty() {
            self.next += usize::from(number == fresh);
            self.numbers.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(names: &[Option<&str>]) -> Vec<usize> {
        let mut clusters = Clusters::default();
        for name in names {
            clusters.add(*name);
        }
        clusters.numbers
    }

    #[test]
    fn a_group_has_a_number_and_each_item_without_one_has_its_own() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(numbers(&[None, None]), [] as [usize; 0]);
        assert_eq!(numbers(&[None, None, a, None, b, a, None]), [0, 1, 2, 3, 4, 2, 5]);
        assert_eq!(numbers(&[a, a, b]), [0, 0, 1]);
    }
}
