//! A snapshot on its way in: beside what is in use until it is whole, and kept on the disk as it grows.

use std::sync::Arc;

use facegate_gallery::{Gallery, GalleryError};
use facegate_proto::convert::sync::{FEED_LEVEL, FeedChange, VersionedChange};
use facegate_proto::snapshot::Chain;

use super::apply::{blocking, is_buried, left_out, remember_codes};
use crate::faces;
use crate::facts::Facts;
use crate::lease::NoFaces;
use crate::station::{Station, StationError, read_facts};
use crate::store::{FactStore, Progress};

/// A snapshot on its way in. Dropped before [`Staging::adopt`], it leaves everything as it was.
pub(super) struct Staging {
    station: Arc<Station>,
    stored: FactStore,
    facts: Arc<Facts>,
    version: u64,
}

impl Staging {
    pub async fn begin(station: &Arc<Station>) -> Result<Self, StationError> {
        let stored = station.store.staging().await?;
        let station = Arc::clone(station);
        blocking(move || {
            faces::discard(&station.config, stored.name())?;
            let key = station.leases.key()?;
            let gallery = faces::open(&station.config, &key, stored.name())?;
            let facts = Arc::new(Facts::new(station.config.station.clone()));
            facts.open(gallery, key.id());
            Ok(Self { station, stored, facts, version: 0 })
        })
        .await
    }

    /// What a process of before has staged, if it can be gone on with. Blocks.
    fn resume(station: &Arc<Station>) -> Result<Option<(Self, Progress)>, StationError> {
        let Some((stored, progress)) = station.store.staged()? else { return Ok(None) };
        let (key, now) = (station.leases.key()?, station.clock.now());
        if progress.level != FEED_LEVEL || progress.key != key.id() {
            tracing::info!(
                "the snapshot begun before is of another level, or sealed under another key: it begins anew"
            );
            return Ok(None);
        }
        let facts = Arc::new(read_facts(&stored, &station.config, now)?);
        let gallery = faces::resume(&station.config, &key, stored.name())?;
        if (gallery.templates() as u64) < progress.templates {
            tracing::error!("templates of the snapshot begun before are missing on the disk: it begins anew");
            return Ok(None);
        }
        faces::enter(&gallery, &stored, now)?;
        tracing::info!(templates = gallery.templates(), chunk = progress.chain.next, "a snapshot begun before goes on");
        facts.open(gallery, key.id());
        let (station, version) = (Arc::clone(station), progress.version);
        Ok(Some((Self { station, stored, facts, version }, progress)))
    }

    /// The same; what cannot be used is no reason not to begin anew.
    pub async fn resumed(station: &Arc<Station>) -> Option<(Self, Progress)> {
        let shared = Arc::clone(station);
        blocking(move || Self::resume(&shared)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the snapshot begun before cannot be gone on with");
            None
        })
    }

    /// Makes everything staged durable, and notes what to go on with after a restart.
    pub async fn keep(&self, chain: Chain, resume: Vec<u8>) -> Result<(), StationError> {
        let facts = Arc::clone(&self.facts);
        let kept = blocking(move || {
            let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
            // Counted first: the files may then hold more than that, and never less.
            let templates = gallery.templates() as u64;
            gallery.keep_staged()?;
            Ok((templates, facts.key_id().ok_or(NoFaces::Opening)?))
        });
        let (templates, key) = kept.await?;
        self.station.store.commit().await?;
        let progress = Progress { level: FEED_LEVEL, key, templates, version: self.version, chain, resume };
        self.stored.set_progress(&progress)?;
        Ok(())
    }

    pub async fn add(&mut self, changes: Vec<VersionedChange>, version: u64) -> Result<(), StationError> {
        self.version = version;
        let (station, stored, facts) = (Arc::clone(&self.station), self.stored.clone(), Arc::clone(&self.facts));
        blocking(move || {
            let now = station.clock.now();
            stored.write(&changes, version, now)?;
            remember_codes(&station, &changes)?;
            let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
            for change in &changes {
                facts.apply(&change.change, now);
                if let FeedChange::TemplatePut(template) = &change.change
                    && !is_buried(&station, template.id, change.version)?
                {
                    match gallery.put(template) {
                        Err(GalleryError::Embedding(error)) => left_out(change.version, &error),
                        put => put?,
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes the snapshot current: on the disk, then for every search that begins from now on.
    pub async fn adopt(self) -> Result<(), StationError> {
        let Self { station, stored, facts, version } = self;
        let whole = Arc::clone(&facts);
        let old = station.store.facts()?.name();
        // An empty snapshot has no fact that would have brought the cursor along.
        let written = blocking(move || {
            whole.gallery().ok_or(NoFaces::Opening)?.adopt(version)?;
            Ok(stored.set_cursor(version)?)
        });
        written.await?;
        station.store.adopt().await?;
        tracing::info!(version, templates = facts.gallery().map_or(0, Gallery::templates), "snapshot adopted");
        station.replace_facts(&facts, version)?;
        // Not before the pointer: until then, a start opens the old templates, which must not look like an old copy. Without
        // the station, whose journal would stay locked if it is stopped meanwhile.
        let config = station.config.clone();
        blocking(move || {
            facts.gallery().ok_or(NoFaces::Opening)?.take_over()?;
            Ok(faces::discard(&config, old)?)
        })
        .await
    }
}

/// Gives up what is staged, of this process or of one before: it holds faces, and nobody will go on with it.
pub(super) async fn give_up(station: &Arc<Station>) -> Result<(), StationError> {
    if station.store.staged()?.is_none() {
        return Ok(());
    }
    let stored = station.store.staging().await?;
    let config = station.config.clone();
    blocking(move || Ok(faces::discard(&config, stored.name())?)).await
}
