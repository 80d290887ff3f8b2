//! What the cloud says it holds, and the digests over it.

use facegate_domain::fingerprint::{FactSet, Fingerprint, content_fact, content_of, fact, owner_fact, regular_fact};
use facegate_proto::convert::sync::FeedChange;

use super::Seen;

impl Seen {
    /// The facts of a set that the cloud holds: id, hash, and what tells it.
    pub(super) fn held<'a>(&'a self, set: &'a FactSet) -> impl Iterator<Item = ([u8; 16], u64, FeedChange)> + 'a {
        self.holds.iter().flatten().filter_map(move |change| {
            let (id, hash) = match (set, change) {
                (FactSet::Templates(model), FeedChange::TemplatePut(t)) if t.embedding.model() == model => {
                    (*t.id.as_bytes(), owner_fact(t.id, t.rider))
                }
                (FactSet::Contents(model), FeedChange::TemplatePut(t)) if t.embedding.model() == model => {
                    (*t.id.as_bytes(), content_fact(t.id, t.rider, content_of(t)))
                }
                (FactSet::Regulars(at), FeedChange::Regulars { station, riders }) if at == station => {
                    ([0; 16], riders.iter().fold(0, |all, regular| all ^ regular_fact(regular)))
                }
                (FactSet::Denied, FeedChange::Denied(rider)) => (*rider.as_bytes(), fact(&[rider.as_bytes()])),
                (FactSet::Inside, FeedChange::EnteredSystem { rider, entry }) => {
                    (*rider.as_bytes(), fact(&[rider.as_bytes(), entry.to_string().as_bytes()]))
                }
                (FactSet::Told, FeedChange::Told(told)) => ([0; 16], told.fact()),
                _ => return None,
            };
            Some((id, hash, change.clone()))
        })
    }

    pub(super) fn fingerprint(&self, set: &FactSet) -> Fingerprint {
        let mut all = Fingerprint::new(set.buckets());
        self.held(set).for_each(|(id, hash, _)| all.toggle(&id, hash));
        all
    }
}
