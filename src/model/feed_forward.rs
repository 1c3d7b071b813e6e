//! The feed-forward block: gated, plain, or some of many experts.

use std::ops::Range;

use super::architecture::{FeedForwardNames, FeedForwardShape};
use super::decoder::Loader;
use super::error::ModelError;
use super::group::Group;
use super::kernel::LANES;
use super::kernel::activation::Activation;
use super::kernel::add::add;
use super::kernel::aligned::Aligned;
use super::kernel::exp::exp;
use super::linear::{Function, Input, Linear, Products, Scratch, Target};
use super::matrix::Matrix;

/// The weights of a block, and how they are used.
#[derive(Clone)]
pub enum FeedForward {
    /// `down(f(gate(x)) · up(x))`
    Gated {
        gate: Linear,
        up: Linear,
        down: Linear,
        activation: Activation,
    },
    /// `down(f(up(x)))`
    Plain {
        up: Linear,
        down: Linear,
        activation: Activation,
    },
    Experts(Experts),
}

/// Blocks of which a router chooses some for each row. Shazeer et al., 2017; Fedus et al., 2021.
#[derive(Clone)]
pub struct Experts {
    pub router: Linear,
    /// Gated blocks.
    pub blocks: Vec<FeedForward>,
    /// How many answer a row.
    pub chosen: usize,
    /// Whether their weights are made to sum to one.
    pub normalised: bool,
}

impl FeedForward {
    pub fn load(loader: &mut Loader<'_>, names: FeedForwardNames, shape: FeedForwardShape) -> Result<Self, ModelError> {
        let (hidden, bias, activation) = (loader.shape.hidden, loader.shape.biases.feed_forward, loader.shape.activation);
        let size = match shape {
            FeedForwardShape::Dense { intermediate } | FeedForwardShape::Experts { intermediate, .. } => intermediate,
        };
        Ok(match (names, shape) {
            (FeedForwardNames::Gated { gate, up, down }, _) => Self::Gated {
                gate: loader.linear(gate, size, hidden, bias)?,
                up: loader.linear(up, size, hidden, bias)?,
                down: loader.linear(down, hidden, size, bias)?,
                activation,
            },
            (FeedForwardNames::StackedGate { gate_up, down }, _) => {
                let both = loader.linear(gate_up, 2 * size, hidden, bias)?;
                let (gate, up) = (both.part(0..size), both.part(size..2 * size));
                Self::Gated { gate, up, down: loader.linear(down, hidden, size, bias)?, activation }
            }
            (FeedForwardNames::Plain { up, down }, _) => Self::Plain {
                up: loader.linear(up, size, hidden, bias)?,
                down: loader.linear(down, hidden, size, bias)?,
                activation,
            },
            (FeedForwardNames::Experts { .. }, FeedForwardShape::Dense { .. }) => {
                unreachable!("a dense block goes by the names of one")
            }
            (
                FeedForwardNames::Experts { router, experts, gate, up, down },
                FeedForwardShape::Experts { count, chosen, normalised, .. },
            ) => {
                // Adapters of experts come in other layouts than a linear layer's, and are refused: none of these is a site.
                let mut alone = |module: &str, shape: [usize; 2]| {
                    let path = loader.path(module);
                    loader.matrix(&path, shape).map(Linear::alone)
                };
                let router = alone(router, [count, hidden])?;
                let mut expert = |index: usize| -> Result<Self, ModelError> {
                    let mut of = |name: &str, shape: [usize; 2]| alone(&format!("{experts}.{index}.{name}"), shape);
                    Ok(Self::Gated {
                        gate: of(gate, [size, hidden])?,
                        up: of(up, [size, hidden])?,
                        down: of(down, [hidden, size])?,
                        activation,
                    })
                };
                let blocks = (0..count).map(&mut expert).collect::<Result<_, _>>()?;
                Self::Experts(Experts { router, blocks, chosen, normalised })
            }
        })
    }

    /// Whether two blocks have the same experts; those that are sites do not count.
    pub fn same_experts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Experts(one), Self::Experts(other)) => {
                one.router.weight.same_values(&other.router.weight)
                    && one.blocks.iter().zip(&other.blocks).all(|(one, other)| one.same_weights(other))
            }
            _ => true,
        }
    }

    /// The weights that are no sites: the router's and the experts', with what they are called within their layer.
    pub fn expert_weights(&self) -> Vec<(String, &Matrix)> {
        let Self::Experts(experts) = self else { return Vec::new() };
        let mut weights = vec![("router".to_owned(), &experts.router.weight)];
        for (index, block) in experts.blocks.iter().enumerate() {
            if let Self::Gated { gate, up, down, .. } = block {
                let of = [("gate", gate), ("up", up), ("down", down)];
                weights.extend(of.map(|(name, linear)| (format!("experts.{index}.{name}"), &linear.weight)));
            }
        }
        weights
    }

    fn same_weights(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Gated { gate, up, down, .. }, Self::Gated { gate: other_gate, up: other_up, down: other_down, .. }) => {
                gate.weight.same_values(&other_gate.weight)
                    && up.weight.same_values(&other_up.weight)
                    && down.weight.same_values(&other_down.weight)
            }
            _ => false,
        }
    }

    /// Computes the block of a group's rows, `x: (panels, hidden, LANES)`.
    pub fn run(&self, products: &Products<'_>, group: &Group, x: &[f32], target: Target<'_>, scratch: &mut Scratch) {
        let (function, down) = match self {
            Self::Gated { gate, up, down, activation } => (Function::Gated { gate, up, activation: *activation }, down),
            Self::Plain { up, down, activation } => (Function::Activated { linear: up, activation: *activation }, down),
            Self::Experts(experts) => return experts.run(products, group, x, target, scratch),
        };
        let features = function.outputs();
        let mut activated = std::mem::take(&mut scratch.activated);
        activated.resize(group.size(features));
        let within = Target { values: &mut activated, features, offset: 0, add: false };
        products.apply(function, &Input::new(products, group, x), within, scratch);
        products.apply(Function::Linear(down), &Input::new(products, group, &activated), target, scratch);
        scratch.activated = activated;
    }
}

/// A row that an expert answers.
#[derive(Clone, Copy)]
struct Routed {
    /// Among the group's places.
    row: usize,
    weight: f32,
}

impl Experts {
    /// Each expert answers the rows that chose it; a row adds up its answers in the order of the experts, whatever stands beside it.
    fn run(&self, products: &Products<'_>, group: &Group, x: &[f32], mut target: Target<'_>, scratch: &mut Scratch) {
        let hidden = self.router.weight.cols;
        let by_expert = self.route(products, group, x, scratch);
        let mut sums = Aligned::zeros(group.size(hidden));
        for (expert, routed) in self.blocks.iter().zip(&by_expert).filter(|(_, routed)| !routed.is_empty()) {
            let chosen = Group::alone(routed.len());
            let (mut rows, mut answers) = (Aligned::zeros(chosen.size(hidden)), Aligned::zeros(chosen.size(hidden)));
            for (place, routed) in routed.iter().enumerate() {
                for feature in 0..hidden {
                    rows[at(place, hidden, feature)] = x[at(routed.row, hidden, feature)];
                }
            }
            let within = Target { values: &mut answers, features: hidden, offset: 0, add: false };
            expert.run(products, &chosen, &rows, within, scratch);
            for (place, routed) in routed.iter().enumerate() {
                for feature in 0..hidden {
                    sums[at(routed.row, hidden, feature)] += answers[at(place, hidden, feature)] * routed.weight;
                }
            }
        }
        target.put(0..group.panels.len(), &sums);
    }

    /// By expert, the rows that it answers.
    fn route(&self, products: &Products<'_>, group: &Group, x: &[f32], scratch: &mut Scratch) -> Vec<Vec<Routed>> {
        let count = self.router.weight.rows;
        let mut logits = Aligned::zeros(group.size(count));
        let target = Target { values: &mut logits, features: count, offset: 0, add: false };
        products.apply(Function::Linear(&self.router), &Input::new(products, group, x), target, scratch);
        let mut by_expert = vec![Vec::new(); count];
        for row in group.rows() {
            let logits: Vec<f32> = (0..count).map(|expert| logits[at(row, count, expert)]).collect();
            for (expert, weight) in self.choose(&logits) {
                by_expert[expert].push(Routed { row, weight });
            }
        }
        by_expert
    }

    /// The most probable experts, the lower number first where two are equal, and their weights.
    pub fn choose(&self, logits: &[f32]) -> Vec<(usize, f32)> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|logit| exp(logit - largest)).collect();
        let sum: f32 = weights.iter().sum();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
        order.truncate(self.chosen);
        let total: f32 = if self.normalised { order.iter().map(|&expert| weights[expert]).sum() } else { sum };
        order.into_iter().map(|expert| (expert, weights[expert] / total)).collect()
    }
}

/// Where a row's feature stands.
fn at(row: usize, features: usize, feature: usize) -> usize {
    (row / LANES * features + feature) * LANES + row % LANES
}

impl Target<'_> {
    /// Puts whole panels where they belong.
    fn put(&mut self, panels: Range<usize>, values: &[f32]) {
        let size = values.len() / panels.len();
        for (panel, values) in panels.zip(values.chunks_exact(size)) {
            let place = &mut self.values[(panel * self.features + self.offset) * LANES..][..size];
            if self.add { add(place, values) } else { place.copy_from_slice(values) }
        }
    }
}
