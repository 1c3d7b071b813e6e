//! A pickle as inert values: what Python would call is looked up in a list, and never called.
//!
//! Values lie in one flat list and refer to one another by their place, so that a value which a file refers to a thousand times is there
//! once, a value that holds itself does no harm, and nothing is dropped or copied by recursion. Each instruction adds at most one value.

use std::collections::HashMap;

use super::global::{self, Global};
use super::moments::Dtype;
use super::{Flaw, invalid, refused};

/// Place of a value.
pub(super) type Id = usize;

/// Most values of a pickle: with [`Node`]'s size, 128 MiB. An optimizer's state has some thirty for each parameter.
const MOST_NODES: usize = 2 << 20;

/// Most keys of a dictionary that is asked for one of them: a file may refer to one of a million keys a million times.
const MOST_KEYS: usize = 256;

/// Most bytes of a name that are told.
const LONGEST_NAME: usize = 512;

/// Most sides of a tensor: a file may have a million tensors of one list of sides, and each has its own copy.
const MOST_SIDES: usize = 8;

#[derive(Debug)]
pub(super) enum Node {
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys with their values; a later one takes the place of an earlier.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Box<Tensor>),
    /// Something that nobody asks after.
    Opaque,
}

/// Values of one type in an entry of the archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    /// A text: the entry's name.
    key: Id,
}

/// A view of a storage. Offset and strides count values.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// A pickle that was read.
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    pub(super) fn root(&self) -> &Node {
        &self.nodes[self.root]
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// The value of a text key of a dictionary; one of more than [`MOST_KEYS`] is taken to have none.
    pub(super) fn get(&self, dict: &Node, wanted: &str) -> Option<&Node> {
        let Node::Dict(pairs) = dict else { return None };
        if pairs.len() > MOST_KEYS {
            return None;
        }
        let is_wanted = |key: &Id| matches!(self.node(*key), Node::Text(text) if text == wanted);
        pairs.iter().rev().find(|(key, _)| is_wanted(key)).map(|(_, value)| self.node(*value))
    }

    /// The first of a dictionary's keys that are texts.
    pub(super) fn keys(&self, dict: &Node) -> Vec<&str> {
        let Node::Dict(pairs) = dict else { return Vec::new() };
        let text = |key: &Id| if let Node::Text(text) = self.node(*key) { Some(text.as_str()) } else { None };
        pairs.iter().take(MOST_KEYS).filter_map(|(key, _)| text(key)).collect()
    }

    /// Name of the entry that holds a storage's values.
    pub(super) fn key(&self, storage: Storage) -> &str {
        if let Node::Text(key) = self.node(storage.key) { key } else { "" }
    }
}

/// Reads a pickle to its end; what follows it is not looked at.
pub(super) fn read(text: &[u8]) -> Result<Pickle, Flaw> {
    let mut machine = Machine { text, at: 0, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle { nodes: machine.nodes, root })
}

struct Machine<'a> {
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which open lists of values begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

fn broken() -> Flaw {
    invalid("its pickle is broken")
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.text.len());
        let end = end.ok_or_else(|| invalid("its pickle ends too early"))?;
        let taken = &self.text[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of so many bytes, little-endian.
    fn number(&mut self, bytes: usize) -> Result<u64, Flaw> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A text with its length before it, which is a number of so many bytes.
    fn counted(&mut self, bytes: usize) -> Result<&'a [u8], Flaw> {
        let count = self.number(bytes)?;
        self.take(usize::try_from(count).map_err(|_| broken())?)
    }

    fn line(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.text[self.at..].iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    fn add(&mut self, node: Node) -> Result<Id, Flaw> {
        if self.nodes.len() == MOST_NODES {
            return Err(refused(format!("its pickle makes more than {MOST_NODES} values")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn push(&mut self, node: Node) -> Result<(), Flaw> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Flaw> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(broken());
        }
        self.stack.pop().ok_or_else(broken)
    }

    fn top(&mut self) -> Result<Id, Flaw> {
        self.stack.last().copied().ok_or_else(broken)
    }

    /// What was pushed since the last mark.
    fn since_mark(&mut self) -> Result<Vec<Id>, Flaw> {
        let mark = self.marks.pop().ok_or_else(broken)?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Flaw> {
        let mut ids = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        ids.reverse();
        self.push(Node::Tuple(ids))
    }

    fn extend_list(&mut self, mut ids: Vec<Id>) -> Result<(), Flaw> {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(items) => items.append(&mut ids),
            Node::Opaque => {}
            _ => return Err(broken()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, ids: &[Id]) -> Result<(), Flaw> {
        let (pairs, []) = ids.as_chunks::<2>() else { return Err(broken()) };
        let dict = self.top()?;
        match &mut self.nodes[dict] {
            Node::Dict(items) => items.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Node::Opaque => {}
            _ => return Err(broken()),
        }
        Ok(())
    }

    fn remember(&mut self, place: u64) -> Result<(), Flaw> {
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<(), Flaw> {
        let id = self.memo.get(&place).copied().ok_or_else(broken)?;
        self.stack.push(id);
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        // Python writes half surrogates too; no key that is asked for has any.
        self.push(Node::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), Flaw> {
        let [module, name] = [module, name].map(|part| String::from_utf8_lossy(&part[..part.len().min(LONGEST_NAME)]));
        match global::known(&module, &name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(refused(format!(
                "it names `{}.{}`, which Python would import, and may run, when it loads the file; sway runs nothing, and reads only what is made of tensors, numbers and texts",
                module.escape_debug(),
                name.escape_debug()
            ))),
        }
    }

    /// What Python would get from calling a name.
    fn call(&mut self) -> Result<(), Flaw> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Node::Global(global) = self.nodes[callable] else { return Err(broken()) };
        let Node::Tuple(arguments) = &self.nodes[arguments] else { return Err(broken()) };
        let made = match global {
            Global::Tensor => Node::Tensor(Box::new(self.tensor(arguments).ok_or_else(broken)?)),
            Global::Wrapped => match arguments.first().map(|id| &self.nodes[*id]) {
                Some(Node::Tensor(tensor)) => Node::Tensor(tensor.clone()),
                _ => return Err(broken()),
            },
            Global::Mapping => Node::Dict(Vec::new()),
            Global::Inert => Node::Opaque,
            Global::Storage(_) => return Err(broken()),
        };
        self.push(made)
    }

    /// arguments: storage, offset, shape, strides, and what autograd needs.
    fn tensor(&self, arguments: &[Id]) -> Option<Tensor> {
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let Node::Storage(storage) = &self.nodes[*storage] else { return None };
        let count = |id: &Id| if let Node::Int(count) = self.nodes[*id] { u64::try_from(count).ok() } else { None };
        let counts = |id: &Id| match &self.nodes[*id] {
            Node::Tuple(ids) if ids.len() <= MOST_SIDES => ids.iter().map(count).collect::<Option<Vec<u64>>>(),
            _ => None,
        };
        let (shape, strides) = (counts(shape)?, counts(strides)?);
        (shape.len() == strides.len()).then_some(Tensor { storage: *storage, offset: count(offset)?, shape, strides })
    }

    /// `("storage", class, key, location, values)`
    fn storage(&mut self) -> Result<(), Flaw> {
        let id = self.pop()?;
        let Node::Tuple(parts) = &self.nodes[id] else { return Err(broken()) };
        let [kind, class, key, ..] = parts[..] else { return Err(broken()) };
        match (&self.nodes[kind], &self.nodes[class], &self.nodes[key]) {
            (Node::Text(kind), Node::Global(Global::Storage(dtype)), Node::Text(_)) if kind == "storage" => {
                let dtype = *dtype;
                self.push(Node::Storage(Storage { dtype, key }))
            }
            _ => Err(broken()),
        }
    }

    /// One instruction; `false` after the last.
    fn step(&mut self) -> Result<bool, Flaw> {
        let instruction = self.take(1)?[0];
        match instruction {
            b'.' => return Ok(false),
            // Protocols, frames.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            // Names, and what is made of them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            // An older way to call a name.
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
                return Err(broken());
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) = (&self.nodes[module], &self.nodes[name]) else {
                    return Err(broken());
                };
                let (module, name) = (module.clone(), name.clone());
                self.global(module.as_bytes(), name.as_bytes())?;
            }
            b'R' | 0x81 => self.call()?,
            b'b' => {
                // Attributes of what lies under them: of no interest, whatever it is.
                self.pop()?;
                self.top()?;
            }
            b'Q' => self.storage()?,
            // The memo.
            b'q' => {
                let place = self.number(1)?;
                self.remember(place)?;
            }
            b'r' => {
                let place = self.number(4)?;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let place = self.number(1)?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number(4)?;
                self.recall(place)?;
            }
            // The stack.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            // Collections.
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let ids = self.since_mark()?;
                self.push(Node::Tuple(ids))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'a' => {
                let id = self.pop()?;
                self.extend_list(vec![id])?;
            }
            b'e' => {
                let ids = self.since_mark()?;
                self.extend_list(ids)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let ids = self.since_mark()?;
                self.extend_dict(&ids)?;
            }
            // Sets.
            0x8f => self.push(Node::Opaque)?,
            0x90 => drop(self.since_mark()?),
            0x91 => {
                self.since_mark()?;
                self.push(Node::Opaque)?;
            }
            _ => self.scalar(instruction)?,
        }
        Ok(true)
    }

    fn scalar(&mut self, instruction: u8) -> Result<(), Flaw> {
        match instruction {
            // None, true, false: nothing that is asked for.
            b'N' | 0x88 | 0x89 => self.push(Node::Opaque),
            b'J' => {
                let value = self.number(4)? as u32;
                self.push(Node::Int(value.cast_signed().into()))
            }
            b'K' => {
                let value = self.number(1)?;
                self.push(Node::Int(value as i64))
            }
            b'M' => {
                let value = self.number(2)?;
                self.push(Node::Int(value as i64))
            }
            0x8a => {
                let bytes = self.counted(1)?;
                self.push(long(bytes))
            }
            0x8b => {
                let bytes = self.counted(4)?;
                self.push(long(bytes))
            }
            b'G' => {
                let value = f64::from_bits(self.number(8)?.swap_bytes());
                self.push(Node::Float(value))
            }
            b'X' => {
                let bytes = self.counted(4)?;
                self.text(bytes)
            }
            0x8c => {
                let bytes = self.counted(1)?;
                self.text(bytes)
            }
            0x8d => {
                let bytes = self.counted(8)?;
                self.text(bytes)
            }
            b'U' | b'C' => {
                self.counted(1)?;
                self.push(Node::Opaque)
            }
            b'T' | b'B' => {
                self.counted(4)?;
                self.push(Node::Opaque)
            }
            0x8e | 0x96 => {
                self.counted(8)?;
                self.push(Node::Opaque)
            }
            other => Err(invalid(format!("its pickle has an instruction that torch does not write ({other:#04x})"))),
        }
    }
}

/// A whole number in two's complement; one of more than eight bytes is of no interest.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Opaque;
    }
    let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(whole))
}
