//! What can be made to break its word, so that tests show that the checks see it. Nothing of it reaches into the servers:
//! it is the disks, the network and the acquirer around them that lie.

use bytes::{BufMut, Bytes, BytesMut};
use facegate_proto::v1;
use facegate_proto::v1::change::Change;
use prost::Message;

use super::node::Node;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// Disks of all gates say that a sync is done before it is.
    GateDisksLie,
    /// Those of all stations.
    StationDisksLie,
    CloudDiskLies,
    /// It takes the same key for another payment, and knows of nothing when it is asked.
    AcquirerForgets,
    /// One station never hears that somebody has left, and says that it does as it was told.
    StationKeepsErased,
    /// One station never hears who is enrolled late, denied or allowed, and says that it has applied it.
    StationSkipsChanges,
}

/// The station that is kept from hearing.
const DEAF: Node = Node::Station(0);
/// Of a gRPC message: a flag for compression, four bytes of length.
const HEADER_BYTES: usize = 5;

impl Sabotage {
    pub fn disk_lies(self, node: Node) -> bool {
        match node {
            Node::Cloud => self == Self::CloudDiskLies,
            Node::Station(_) => self == Self::StationDisksLie,
            Node::Gate(..) => self == Self::GateDisksLie,
        }
    }

    /// Whether this one hears less of the feed than it believes.
    pub fn deafens(self, node: Node) -> bool {
        node == DEAF && matches!(self, Self::StationKeepsErased | Self::StationSkipsChanges)
    }

    /// A part of the cloud's answer as the station is to hear it: changes of the feed, some of them with their version
    /// alone, and no digests by which it would see what is missing.
    pub fn answer(self, method: &str, bytes: Bytes) -> Bytes {
        match method {
            "Subscribe" => rewritten(bytes, |v1::Change { version, change }| v1::Change {
                version,
                change: change.filter(|change| !self.skips(change)),
            }),
            "Report" => rewritten(bytes, |answer| v1::ReportResponse { roots: Vec::new(), ..answer }),
            _ => bytes,
        }
    }

    fn skips(self, change: &Change) -> bool {
        match self {
            Self::StationKeepsErased => matches!(change, Change::RiderRemoved(_)),
            _ => matches!(change, Change::TemplatePut(_) | Change::Denied(_) | Change::Allowed(_)),
        }
    }
}

/// The messages, each as `rewrite` has it. What is not whole messages stays as it is.
fn rewritten<M: Message + Default>(bytes: Bytes, rewrite: impl Fn(M) -> M) -> Bytes {
    let (mut rest, mut written) = (bytes.clone(), BytesMut::new());
    while rest.len() >= HEADER_BYTES {
        let header = rest.split_to(HEADER_BYTES);
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let Some(Ok(message)) = (length <= rest.len()).then(|| M::decode(rest.split_to(length))) else { return bytes };
        let message = rewrite(message).encode_to_vec();
        written.put_u8(header[0]);
        written.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        written.put_slice(&message);
    }
    if rest.is_empty() { written.freeze() } else { bytes }
}
