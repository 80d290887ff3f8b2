//! `Debug` for messages that carry a face or a key: a kind and a size, never a value.

use std::fmt;

use crate::v1::{EnrolFaceRequest, LeaseResponse, Probe, SnapshotChunk, TemplateRecord};

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe(model={}, {} bytes)", self.model, self.embedding.len())
    }
}

impl fmt::Debug for TemplateRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateRecord(model={}, {} bytes)", self.model, self.embedding.len())
    }
}

impl fmt::Debug for EnrolFaceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolFaceRequest(image of {} bytes and {} more)", self.image.len(), self.more_images.len())
    }
}

impl fmt::Debug for SnapshotChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.content.len();
        write!(f, "SnapshotChunk(version={}, number={}, {bytes} bytes)", self.version, self.number)
    }
}

impl fmt::Debug for LeaseResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, valid_for_ms, required_version, .. } = self;
        write!(f, "LeaseResponse(generation={generation}, {valid_for_ms} ms, from version {required_version})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_prints_its_size_and_nothing_of_the_face() {
        let probe = Probe { model: "sface".into(), embedding: vec![1; 512], frames: 3 };
        assert_eq!(format!("{probe:?}"), "Probe(model=sface, 512 bytes)");
    }
}
