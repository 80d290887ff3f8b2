//! An embedding as it is sealed: length of the model's name (one byte), the name, the values in little-endian float32,
//! how many photographs (one byte, which faces kept from before do not have).

use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use zeroize::Zeroizing;

pub(super) fn face_to_bytes(embedding: &Embedding, photographs: u32) -> Zeroizing<Vec<u8>> {
    let model = embedding.model().as_str().as_bytes();
    let length = u8::try_from(model.len()).expect("a model's name has at most 48 characters");
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 + model.len() + 4 * embedding.dims()));
    bytes.push(length);
    bytes.extend_from_slice(model);
    embedding.values().iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes.push(u8::try_from(photographs).unwrap_or(u8::MAX));
    bytes
}

pub(super) fn face_from_bytes(bytes: &[u8]) -> Option<(Embedding, u32)> {
    let (length, rest) = bytes.split_first()?;
    let (model, values) = rest.split_at_checked(usize::from(*length))?;
    let model = ModelId::new(std::str::from_utf8(model).ok()?).ok()?;
    let values = values.chunks_exact(4);
    let photographs = values.remainder().first().map_or(1, |count| u32::from(*count));
    let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Some((Embedding::from_unit(model, values).ok()?, photographs))
}
