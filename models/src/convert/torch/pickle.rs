//! The data words of pickle protocol 2 that a checkpoint uses, and nothing that could run.
//!
//! A name is only ever one of four, and calling one builds a value of this file. Anything else is refused with its
//! place. The files are pinned by SHA-256 before they get here, so the bounds are against mistakes.

use std::collections::HashMap;

use super::UnreadableCheckpoint;

/// A value of the pickle.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    None,
    Bool,
    Int(i64),
    /// More than 64 bits, little-endian.
    Long(Vec<u8>),
    Text(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Name(Name),
    Storage(Storage),
    Tensor(Tensor),
}

/// The only names that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    OrderedDict,
    RebuildTensor,
    FloatStorage,
    LongStorage,
}

/// Values that tensors look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub key: String,
    /// float32; else int64.
    pub float: bool,
    pub count: usize,
}

/// A view of a storage; sizes and strides in values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub storage: Storage,
    pub offset: usize,
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The bytes not read yet.
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], UnreadableCheckpoint> {
        let end = self.at.checked_add(count).ok_or(UnreadableCheckpoint::CutOff)?;
        let taken = self.bytes.get(self.at..end).ok_or(UnreadableCheckpoint::CutOff)?;
        self.at = end;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], UnreadableCheckpoint> {
        self.take(N)?.try_into().map_err(|_| UnreadableCheckpoint::CutOff)
    }

    fn byte(&mut self) -> Result<u8, UnreadableCheckpoint> {
        Ok(self.array::<1>()?[0])
    }

    fn line(&mut self) -> Result<String, UnreadableCheckpoint> {
        let length = self.bytes[self.at..].iter().position(|b| *b == b'\n').ok_or(UnreadableCheckpoint::CutOff)?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(line)
    }

    fn refuse(&self, what: impl Into<String>) -> UnreadableCheckpoint {
        UnreadableCheckpoint::Unsupported { at: self.at, what: what.into() }
    }
}

/// Reads one pickle.
pub fn load(input: &mut Input<'_>) -> Result<Value, UnreadableCheckpoint> {
    let mut machine = Machine::default();
    loop {
        let word = input.byte()?;
        if word == b'.' {
            return machine.pop(input);
        }
        machine.step(word, input)?;
    }
}

#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
}

impl Machine {
    fn pop(&mut self, input: &Input<'_>) -> Result<Value, UnreadableCheckpoint> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(input.refuse("a value where there is none"));
        }
        self.stack.pop().ok_or_else(|| input.refuse("a value where there is none"))
    }

    fn since_mark(&mut self, input: &Input<'_>) -> Result<Vec<Value>, UnreadableCheckpoint> {
        let mark = self.marks.pop().ok_or_else(|| input.refuse("a mark where there is none"))?;
        Ok(self.stack.split_off(mark))
    }

    /// One word of the language, by the names of Python's `pickletools`.
    fn step(&mut self, word: u8, input: &mut Input<'_>) -> Result<(), UnreadableCheckpoint> {
        let value = match word {
            0x80 => return input.byte().map(drop), // PROTO
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'q' => return self.remember(u32::from(input.byte()?)),
            b'r' => return self.remember(u32::from_le_bytes(input.array()?)),
            b's' | b'u' | b'e' | b'b' => return self.extend(word, input),
            b'h' => self.recall(u32::from(input.byte()?), input)?,
            b'j' => self.recall(u32::from_le_bytes(input.array()?), input)?,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(i64::from(input.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(input.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(input.array()?))),
            0x8a => {
                let length = usize::from(input.byte()?);
                Value::Long(input.take(length)?.to_vec())
            }
            b'X' => {
                let length = u32::from_le_bytes(input.array()?) as usize;
                Value::Text(String::from_utf8_lossy(input.take(length)?).into_owned())
            }
            b'}' => Value::Dict(Vec::new()),
            b']' => Value::List(Vec::new()),
            b')' => Value::Tuple(Vec::new()),
            b't' => Value::Tuple(self.since_mark(input)?),
            0x85 => Value::Tuple(vec![self.pop(input)?]),
            0x86 => {
                let second = self.pop(input)?;
                Value::Tuple(vec![self.pop(input)?, second])
            }
            b'c' => Value::Name(name(input)?),
            b'Q' => storage(self.pop(input)?).ok_or_else(|| input.refuse("a storage that is none"))?,
            b'R' => {
                let arguments = self.pop(input)?;
                let called = self.pop(input)?;
                call(called, arguments).ok_or_else(|| input.refuse("a call that builds no tensor"))?
            }
            other => return Err(input.refuse(format!("word 0x{other:02x}"))),
        };
        self.stack.push(value);
        Ok(())
    }

    /// SETITEM, SETITEMS, APPENDS, BUILD: into the container below, which stays.
    fn extend(&mut self, word: u8, input: &Input<'_>) -> Result<(), UnreadableCheckpoint> {
        let items = match word {
            b's' => {
                let value = self.pop(input)?;
                vec![self.pop(input)?, value]
            }
            b'b' => vec![self.pop(input)?],
            _ => self.since_mark(input)?,
        };
        match (word, self.stack.last_mut()) {
            // The state of a dictionary is PyTorch's version notes: nothing to a reader.
            (b'b', Some(Value::Dict(_))) => Ok(()),
            (b's' | b'u', Some(Value::Dict(entries))) if items.len().is_multiple_of(2) => {
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    entries.push((key, value));
                }
                Ok(())
            }
            (b'e', Some(Value::List(list))) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(input.refuse("an entry into what holds none")),
        }
    }

    /// Containers change after they are remembered, so only what cannot change is kept.
    fn remember(&mut self, key: u32) -> Result<(), UnreadableCheckpoint> {
        if let Some(value @ (Value::Text(_) | Value::Name(_) | Value::Tuple(_))) = self.stack.last() {
            self.memo.insert(key, value.clone());
        }
        Ok(())
    }

    fn recall(&self, key: u32, input: &Input<'_>) -> Result<Value, UnreadableCheckpoint> {
        self.memo.get(&key).cloned().ok_or_else(|| input.refuse("a container a second time"))
    }
}

fn name(input: &mut Input<'_>) -> Result<Name, UnreadableCheckpoint> {
    let (module, name) = (input.line()?, input.line()?);
    match (module.as_str(), name.as_str()) {
        ("collections", "OrderedDict") => Ok(Name::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Ok(Name::RebuildTensor),
        ("torch", "FloatStorage") => Ok(Name::FloatStorage),
        ("torch", "LongStorage") => Ok(Name::LongStorage),
        _ => Err(input.refuse(format!("the name {module}.{name}"))),
    }
}

/// `("storage", kind, key, device, count, no view)`.
fn storage(value: Value) -> Option<Value> {
    let Value::Tuple(parts) = value else { return None };
    let [Value::Text(tag), Value::Name(kind), Value::Text(key), Value::Text(_), Value::Int(count), Value::None] =
        parts.as_slice()
    else {
        return None;
    };
    let float = match kind {
        Name::FloatStorage => true,
        Name::LongStorage => false,
        _ => return None,
    };
    let count = usize::try_from(*count).ok()?;
    (tag == "storage").then(|| Value::Storage(Storage { key: key.clone(), float, count }))
}

/// `OrderedDict()`, or `_rebuild_tensor_v2(storage, offset, sizes, strides, needs gradient, hooks)`.
fn call(called: Value, arguments: Value) -> Option<Value> {
    let Value::Tuple(arguments) = arguments else { return None };
    match (called, arguments.as_slice()) {
        (Value::Name(Name::OrderedDict), []) => Some(Value::Dict(Vec::new())),
        (
            Value::Name(Name::RebuildTensor),
            [Value::Storage(storage), Value::Int(offset), dims, strides, Value::Bool, _],
        ) => Some(Value::Tensor(Tensor {
            storage: storage.clone(),
            offset: usize::try_from(*offset).ok()?,
            dims: sizes(dims)?,
            strides: sizes(strides)?,
        })),
        _ => None,
    }
}

fn sizes(value: &Value) -> Option<Vec<usize>> {
    let Value::Tuple(parts) = value else { return None };
    let size = |part: &Value| match part {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    parts.iter().map(size).collect()
}
