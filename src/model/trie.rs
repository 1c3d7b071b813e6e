//! The tokens that are to be computed, each prefix of a view once.

use std::collections::HashMap;

use super::rows::Run;

/// Where a node's keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    /// A row of the pass that is being planned.
    Row(usize),
    Page {
        page: usize,
        slot: usize,
    },
}

/// A token after its prefix, under one view.
#[derive(Clone, Debug)]
pub struct Node {
    pub parent: Option<usize>,
    pub token: u32,
    pub position: u32,
    /// Paths through this node that are not complete.
    pub uses: usize,
    pub place: Place,
    /// Its hidden state is wanted, and has not been computed.
    pub asked: bool,
}

/// Tries of several views.
#[derive(Debug, Default)]
pub struct Trie {
    pub nodes: Vec<Node>,
    /// By parent (or the root of a view) and token.
    children: HashMap<(Parent, u32), usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Parent {
    Root { view: usize },
    Node(usize),
}

impl Trie {
    /// The nodes of a sequence of tokens, made where they are new.
    pub fn insert(&mut self, view: usize, tokens: &[u32]) -> Vec<usize> {
        let mut path = Vec::with_capacity(tokens.len());
        let mut parent = Parent::Root { view };
        for (position, &token) in tokens.iter().enumerate() {
            let next = self.nodes.len();
            let node = *self.children.entry((parent, token)).or_insert(next);
            if node == next {
                let parent = if let Parent::Node(node) = parent { Some(node) } else { None };
                let position = position as u32;
                self.nodes.push(Node { parent, token, position, uses: 0, place: Place::Nowhere, asked: false });
            }
            path.push(node);
            parent = Parent::Node(node);
        }
        path
    }

    /// The rank of each node in a walk that goes down before it goes on, children in the order in which they came.
    pub fn ranks(&self) -> Vec<usize> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut stack: Vec<usize> = Vec::new();
        for (node, parent) in self.nodes.iter().map(|node| node.parent).enumerate() {
            match parent {
                Some(parent) => children[parent].push(node),
                None => stack.push(node),
            }
        }
        stack.reverse();
        let mut ranks = vec![0; self.nodes.len()];
        let mut rank = 0;
        while let Some(node) = stack.pop() {
            ranks[node] = rank;
            rank += 1;
            stack.extend(children[node].iter().rev());
        }
        ranks
    }

    /// The keys and values on the way to a node, its own included.
    pub fn runs(&self, node: Option<usize>) -> Vec<Run> {
        self.runs_by(node, |node| self.nodes[node].place)
    }

    /// The same where nodes are at other places than their own.
    pub fn runs_by(&self, node: Option<usize>, place: impl Fn(usize) -> Place) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut at = node;
        while let Some(node) = at {
            let (run, first) = match place(node) {
                Place::Row(last) => {
                    let first = self.back(node, &place, |earlier, count| {
                        last.checked_sub(count).is_some_and(|row| earlier == Place::Row(row))
                    });
                    let rows = last - (self.nodes[node].position - self.nodes[first].position) as usize..last + 1;
                    (Run::Rows(rows), first)
                }
                Place::Page { page, slot } => {
                    let first = self.back(node, &place, |earlier, count| {
                        count <= slot && earlier == Place::Page { page, slot: slot - count }
                    });
                    (Run::Page { page, positions: slot + 1 }, first)
                }
                Place::Nowhere => unreachable!("a node's ancestors are computed before it"),
            };
            runs.push(run);
            at = self.nodes[first].parent;
        }
        runs.reverse();
        runs
    }

    /// The first of the ancestors that follow on each other as `follows` says.
    fn back(&self, node: usize, place: impl Fn(usize) -> Place, follows: impl Fn(Place, usize) -> bool) -> usize {
        let mut first = node;
        let mut count = 1;
        while let Some(parent) = self.nodes[first].parent
            && follows(place(parent), count)
        {
            first = parent;
            count += 1;
        }
        first
    }
}
