//! Reads the tensors of a PyTorch checkpoint of the format before 1.6: three small pickles, one pickle that names the
//! tensors, the list of storages, then each storage as a count and its values.
//!
//! | part | content |
//! |---|---|
//! | pickle | the magic number 0x1950a86a20f9469cfc6c |
//! | pickle | the protocol's version, 1001 |
//! | pickle | byte order and sizes of the writing machine |
//! | pickle | ordered dictionary: name → tensor (storage key, offset, sizes, strides) |
//! | pickle | list of storage keys |
//! | per key | u64 count, then count × float32 (or int64), little-endian |
//!
//! Pickle is a programming language; `pickle` knows its data words and four names, and runs nothing.

mod pickle;

use std::collections::HashMap;

use pickle::Value;

/// The magic number's words, as `LONG1` holds them (little-endian).
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// Why a checkpoint cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCheckpoint {
    #[error("it is no PyTorch checkpoint of the format before 1.6")]
    NotLegacy,
    #[error("it ends before its end")]
    CutOff,
    #[error("at byte {at} it asks for {what}, which a file of weights does not need")]
    Unsupported { at: usize, what: String },
    #[error("tensor {0} does not fit its storage")]
    BadTensor(String),
}

/// One float32 tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    pub dims: Vec<usize>,
    pub values: Vec<f32>,
}

/// Every float32 tensor of the checkpoint by name; integer ones (batch counters) are left out.
pub fn read(bytes: &[u8]) -> Result<HashMap<String, Weights>, UnreadableCheckpoint> {
    let mut input = pickle::Input::new(bytes);
    if pickle::load(&mut input)? != Value::Long(MAGIC.to_vec()) || pickle::load(&mut input)? != Value::Int(VERSION) {
        return Err(UnreadableCheckpoint::NotLegacy);
    }
    pickle::load(&mut input)?;
    let Value::Dict(named) = pickle::load(&mut input)? else { return Err(UnreadableCheckpoint::NotLegacy) };
    let storages = read_storages(&mut input, &named)?;
    let mut tensors = HashMap::new();
    for (name, value) in named {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, value) else {
            return Err(UnreadableCheckpoint::NotLegacy);
        };
        if let Some(storage) = storages.get(&tensor.storage.key) {
            let values = strided(storage, &tensor).ok_or_else(|| UnreadableCheckpoint::BadTensor(name.clone()))?;
            tensors.insert(name, Weights { dims: tensor.dims, values });
        }
    }
    Ok(tensors)
}

/// The float32 storages by key; others are stepped over.
fn read_storages(
    input: &mut pickle::Input<'_>,
    named: &[(Value, Value)],
) -> Result<HashMap<String, Vec<f32>>, UnreadableCheckpoint> {
    let declared: HashMap<&str, &pickle::Storage> = named
        .iter()
        .filter_map(|(_, value)| match value {
            Value::Tensor(tensor) => Some((tensor.storage.key.as_str(), &tensor.storage)),
            _ => None,
        })
        .collect();
    let Value::List(keys) = pickle::load(input)? else { return Err(UnreadableCheckpoint::NotLegacy) };
    let mut storages = HashMap::new();
    for key in keys {
        let Value::Text(key) = key else { return Err(UnreadableCheckpoint::NotLegacy) };
        let storage = declared.get(key.as_str()).ok_or(UnreadableCheckpoint::NotLegacy)?;
        let count = usize::try_from(u64::from_le_bytes(input.array()?)).map_err(|_| UnreadableCheckpoint::CutOff)?;
        if count != storage.count {
            return Err(UnreadableCheckpoint::BadTensor(key));
        }
        let size = if storage.float { 4 } else { 8 };
        let raw = input.take(count.checked_mul(size).ok_or(UnreadableCheckpoint::CutOff)?)?;
        if storage.float {
            let values = raw.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
            storages.insert(key, values);
        }
    }
    Ok(storages)
}

/// The tensor's values in row-major order; none if one lies outside the storage or is no number.
fn strided(storage: &[f32], tensor: &pickle::Tensor) -> Option<Vec<f32>> {
    let count = tensor.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(*d))?;
    if tensor.dims.len() != tensor.strides.len() || count > storage.len() {
        return None;
    }
    let value = |index: usize| {
        let mut rest = index;
        let mut at = tensor.offset;
        for (size, stride) in tensor.dims.iter().zip(&tensor.strides).rev() {
            at = at.checked_add((rest % size).checked_mul(*stride)?)?;
            rest /= size;
        }
        storage.get(at).copied().filter(|v| v.is_finite())
    };
    (0..count).map(value).collect()
}

#[cfg(test)]
mod tests;
