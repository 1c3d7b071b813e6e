//! From a pickle's values to an optimizer's state.

use std::collections::{HashMap, HashSet};

use super::archive::Archive;
use super::moments::{MomentFold, Moments};
use super::pickle::{Id, Node, Pickle, Tensor};
use super::{Flaw, OptimizerFile, OptimizerState, Parameter, invalid, refused};

/// Where training loops keep the optimizer in a larger file, most usual first; any other key is tried after these.
const USUAL_KEYS: &[&str] = &["optimizer_state_dict", "optimizer", "optimizer_state", "optim"];

/// Keys by which bitsandbytes' states are known.
const BITSANDBYTES: &[&str] = &["absmax1", "absmax2", "qmap1", "qmap2", "state1", "state2"];

/// Most parameters, and most bytes of the name of one: each name is kept, however often a file refers to it.
const MOST_PARAMETERS: usize = 1 << 18;
const LONGEST_NAME: usize = 512;

/// Keys told in a message.
const MOST_KEYS: usize = 8;

/// How many bytes of tensors may still be read: a file that has a million tensors share a storage is not read a million times.
pub(super) struct Budget {
    pub(super) bytes: u64,
}

pub(super) fn read(pickle: &Pickle, archive: &mut Archive, mut budget: Budget) -> Result<OptimizerFile, Flaw> {
    let root = pickle.root();
    let Some(optimizer) = find(pickle, root) else {
        return Err(invalid(format!("it holds no optimizer's state: {}", has(&pickle.keys(root)))));
    };
    let global_step = ["global_step", "step"].into_iter().find_map(|key| count(pickle.get(root, key)?));
    let Some(Node::Dict(states)) = pickle.get(optimizer, "state") else {
        return Err(invalid("its `state` is no dictionary"));
    };
    if states.len() > MOST_PARAMETERS {
        return Err(too_many());
    }
    let mut state = OptimizerState { global_step, ..OptimizerState::default() };
    let mut states: Vec<(String, Id)> =
        states.iter().map(|(key, value)| Ok((name(pickle.node(*key))?, *value))).collect::<Result<_, Flaw>>()?;
    // In the order of the groups; a name that no group lists comes last.
    let listed = listed(pickle, optimizer)?;
    let order: HashMap<&str, usize> = listed.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    states.sort_by_key(|(name, _)| order.get(name.as_str()).copied().unwrap_or(usize::MAX));
    for (name, value) in &states {
        match parameter(name, pickle, pickle.node(*value), archive, &mut budget)? {
            Ok(parameter) => state.parameters.push(parameter),
            Err(other) => return Ok(OptimizerFile::Other(other)),
        }
    }
    let updated: HashSet<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
    state.never_updated = listed.iter().filter(|name| !updated.contains(name.as_str())).cloned().collect();
    Ok(OptimizerFile::Adam(state))
}

/// The dictionary with `state` and `param_groups`: the file's own, or one of its values.
fn find<'a>(pickle: &'a Pickle, root: &'a Node) -> Option<&'a Node> {
    let is_state = |node: &Node| pickle.get(node, "state").is_some() && pickle.get(node, "param_groups").is_some();
    if is_state(root) {
        return Some(root);
    }
    let usual = USUAL_KEYS.iter().find_map(|key| pickle.get(root, key).filter(|node| is_state(node)));
    let Node::Dict(pairs) = root else { return None };
    usual.or_else(|| pairs.iter().map(|(_, value)| pickle.node(*value)).find(|node| is_state(node)))
}

/// The parameters that the groups list.
fn listed(pickle: &Pickle, optimizer: &Node) -> Result<Vec<String>, Flaw> {
    let Some(Node::List(groups)) = pickle.get(optimizer, "param_groups") else {
        return Err(invalid("its `param_groups` are no list"));
    };
    let mut names = Vec::new();
    for group in groups {
        let Some(Node::List(params)) = pickle.get(pickle.node(*group), "params") else {
            return Err(invalid("one of its `param_groups` has no `params`"));
        };
        if names.len() + params.len() > MOST_PARAMETERS {
            return Err(too_many());
        }
        for id in params {
            names.push(name(pickle.node(*id))?);
        }
    }
    Ok(names)
}

fn too_many() -> Flaw {
    refused(format!("it has more than {MOST_PARAMETERS} parameters"))
}

fn name(node: &Node) -> Result<String, Flaw> {
    match node {
        Node::Int(number) => Ok(number.to_string()),
        Node::Text(name) if name.len() <= LONGEST_NAME => Ok(name.clone()),
        _ => Err(invalid("a parameter has neither a number nor a name")),
    }
}

fn count(node: &Node) -> Option<u64> {
    if let Node::Int(count) = node { u64::try_from(*count).ok() } else { None }
}

fn has(keys: &[&str]) -> String {
    match keys {
        [] => "it has no keys".to_owned(),
        keys => {
            let more = if keys.len() > MOST_KEYS { format!(" and {} more", keys.len() - MOST_KEYS) } else { String::new() };
            let shown: Vec<String> = keys.iter().take(MOST_KEYS).map(|key| format!("`{}`", shortened(key))).collect();
            format!("it has {}{more}", shown.join(", "))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// A parameter's memory, or, where it is not an Adam's, what it is.
fn parameter(
    name: &str,
    pickle: &Pickle,
    state: &Node,
    archive: &mut Archive,
    budget: &mut Budget,
) -> Result<Result<Parameter, String>, Flaw> {
    let keys = pickle.keys(state);
    if keys.iter().any(|key| BITSANDBYTES.contains(key)) {
        let width = if keys.iter().any(|key| key.starts_with("qmap")) { "8-bit " } else { "" };
        return Ok(Err(format!("{width}moments of bitsandbytes ({})", has(&keys))));
    }
    let Some(second) = pickle.get(state, "exp_avg_sq") else {
        return Ok(Err(format!(
            "no second moments (`exp_avg_sq`), which Adam has: of parameter {} {}",
            shortened(name),
            has(&keys)
        )));
    };
    let Node::Tensor(second) = second else {
        return Err(invalid(format!("`exp_avg_sq` of parameter {} is no tensor", shortened(name))));
    };
    if !second.storage.dtype.is_float() {
        return Ok(Err(format!("second moments that are no floating-point numbers ({:?})", second.storage.dtype)));
    }
    let step = match pickle.get(state, "step") {
        Some(Node::Int(step)) => Some(*step as f64),
        Some(Node::Float(step)) => Some(*step),
        Some(Node::Tensor(step)) if values(step) == Some(1) => Some(moments(step, pickle, archive, budget)?.mean),
        _ => None,
    };
    let shape = second.shape.clone();
    Ok(Ok(Parameter { name: name.to_owned(), shape, step, second: moments(second, pickle, archive, budget)? }))
}

/// How many values a tensor has; `None` where the product of its sides is no number.
fn values(tensor: &Tensor) -> Option<u64> {
    tensor.shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side))
}

/// Whether a tensor's values are a run of its storage, in whatever order.
fn is_dense(tensor: &Tensor) -> bool {
    let mut sides: Vec<(u64, u64)> =
        tensor.strides.iter().copied().zip(tensor.shape.iter().copied()).filter(|side| side.1 != 1).collect();
    sides.sort_unstable();
    let mut run = Some(1u64);
    sides.iter().all(|(stride, side)| {
        let fits = run == Some(*stride);
        run = run.and_then(|run| run.checked_mul(*side));
        fits
    })
}

fn moments(tensor: &Tensor, pickle: &Pickle, archive: &mut Archive, budget: &mut Budget) -> Result<Moments, Flaw> {
    let (dtype, key) = (tensor.storage.dtype, pickle.key(tensor.storage));
    let outside = || invalid(format!("a tensor lies outside of its storage `{}`", shortened(key)));
    let values = values(tensor).ok_or_else(outside)?;
    if values == 0 {
        return Ok(Moments::default());
    }
    let size = dtype.size();
    let from = tensor.offset.checked_mul(size).ok_or_else(outside)?;
    let bytes = values.checked_mul(size).ok_or_else(outside)?;
    let end = from.checked_add(bytes).ok_or_else(outside)?;
    if end > archive.storage_len(key)? {
        return Err(outside());
    }
    if !is_dense(tensor) {
        return Err(invalid("a tensor does not lie in one piece"));
    }
    budget.bytes = budget.bytes.checked_sub(bytes).ok_or_else(|| invalid("its tensors overlap"))?;
    let mut fold = MomentFold::default();
    archive.storage(key, from, bytes, |piece| dtype.each(piece, |value| fold.add(value)))?;
    Ok(fold.end())
}
