//! The 1:N engine: every template once, in one byte a dimension, and a scan of their sign bits before an exact comparison.
//!
//! Face embeddings are nearly isotropic, so graphs and cells miss mates unless they look at nearly everything; looking at
//! everything is cheap if it is 12 bytes a template. A search
//! 1. scans 96 sign bits of all rows against the probe's weights (`scan`), tile by tile, keeping the best thousand or so;
//! 2. compares those in full (`quantise`), and the rows that changed meanwhile, and the members of the tiers asked for.
//!
//! Changes take the lock for microseconds; searches take it for one tile at a time, so neither waits for the other
//! longer than that. The last step happens under one lock: what it returns was all held at that moment.

mod candidates;
mod changing;
mod digests;
mod ids;
mod members;
mod quantise;
mod rotation;
mod rows;
mod scan;
mod search;
mod segments;
mod stored;
mod weights;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::{Similarity, Tier};

use crate::engine::{Engine, EngineError, Hit};
use members::Members;
use quantise::Shape;
use rotation::Rotation;
use rows::{Removed, Rows};

pub(crate) use changing::Changing;
pub use rows::{Full, Held};
pub use scan::Kernel;
pub use search::{Answer, Query, TierAnswer};
pub use stored::{Layout, Row};

/// Of what the stored bytes mean.
pub(crate) const fn rotation_version() -> u8 {
    rotation::VERSION
}

/// See the module. Shared by any number of threads.
pub struct Index {
    model: ModelId,
    shape: Shape,
    rotation: Rotation,
    tuning: Tuning,
    contents: RwLock<Contents>,
}

/// How a search is done; any of it gives correct results, the default is measured. Another one is for tests and
/// measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    pub kernel: Kernel,
    /// Rows that are scanned under one lock: short beside a change's patience, long beside taking the lock. A multiple
    /// of 64.
    pub tile_rows: usize,
    /// Rows compared in full for one probe, about.
    pub compared: usize,
    /// The same in a narrow tier.
    pub compared_in_tier: usize,
    /// Changes that a search may miss while it runs; more make it begin again.
    pub remembered: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        let kernel = Kernel::detect();
        Self { kernel, tile_rows: 8192, compared: 1024, compared_in_tier: 256, remembered: 1 << 16 }
    }
}

struct Contents {
    rows: Rows,
    /// The narrow tiers.
    tiers: BTreeMap<Tier, Members>,
}

impl Index {
    /// An empty index for embeddings of `model` with `dims` dimensions.
    pub fn new(model: ModelId, dims: usize) -> Self {
        Self::tuned(model, dims, Tuning::default())
    }

    /// The same, searched in another way.
    pub fn tuned(model: ModelId, dims: usize, tuning: Tuning) -> Self {
        let shape = Shape::new(dims.max(1));
        let narrow = Tier::ALL.into_iter().filter(|tier| *tier != Tier::City);
        let tiers = narrow.map(|tier| (tier, Members::new(shape.code_bytes()))).collect();
        let contents = RwLock::new(Contents { rows: Rows::new(shape, tuning.remembered), tiers });
        Self { model, shape, rotation: Rotation::new(shape.padded), tuning, contents }
    }

    /// Searches in another way from now on.
    pub fn retune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    pub fn model(&self) -> &ModelId {
        &self.model
    }

    pub fn dims(&self) -> usize {
        self.shape.dims
    }

    /// What the scan runs on, for reports.
    pub fn kernel(&self) -> String {
        format!("{:?}", self.tuning.kernel).to_lowercase()
    }

    /// Inserts the template, or replaces the one with its id (even if that was another rider's).
    pub fn put(&self, template: &Template) -> Result<(), EngineError> {
        let row = self.row(template)?;
        self.changing().put(&row)
    }

    /// Removes a template; false if there was none with this id.
    pub fn remove(&self, template: TemplateId) -> bool {
        self.changing().remove(template)
    }

    /// Removes all templates of a rider and his memberships. Gives how many templates there were.
    pub fn remove_rider(&self, rider: RiderId) -> usize {
        self.changing().remove_rider(rider)
    }

    /// Makes a rider a member of a narrow tier, now and with every template that comes; `Tier::City` has everyone.
    pub fn join(&self, tier: Tier, rider: RiderId) {
        self.write().join(tier, rider);
    }

    pub fn leave(&self, tier: Tier, rider: RiderId) {
        self.write().leave(tier, rider);
    }

    /// Riders with a template here.
    pub fn riders(&self) -> usize {
        self.read().rows.riders_len()
    }

    /// Members of a tier with a template here.
    pub fn members(&self, tier: Tier) -> usize {
        let contents = self.read();
        contents.tiers.get(&tier).map_or_else(|| contents.rows.riders_len(), Members::enrolled)
    }

    /// Whether a rider has a template here.
    pub fn enrolled(&self, rider: RiderId) -> bool {
        !self.read().rows.rows_of(rider).is_empty()
    }

    /// The ids of a rider's templates.
    pub fn templates_of(&self, rider: RiderId) -> Vec<TemplateId> {
        let contents = self.read();
        contents.rows.rows_of(rider).into_iter().map(|row| contents.rows.owner(row).template).collect()
    }

    pub fn len(&self) -> usize {
        self.read().rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the rows have, those not yet taken included.
    pub fn allocated_bytes(&self) -> usize {
        self.read().rows.allocated_bytes()
    }

    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().expect("no change to the index panics half-way")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents.write().expect("no change to the index panics half-way")
    }
}

impl Contents {
    fn put(&mut self, Row { owner, face, seal }: &Row) -> Result<(), EngineError> {
        let row = match self.rows.row_of(owner.template) {
            Some(row) => {
                let old = self.rows.owner(row).rider;
                self.tiers.values_mut().for_each(|members| members.drop_row(old, row));
                self.rows.replace(row, owner, face, *seal);
                row
            }
            None => self.rows.append(owner, face, *seal)?,
        };
        for members in self.tiers.values_mut().filter(|members| members.contains(owner.rider)) {
            members.add(owner.rider, row, &face.code);
        }
        Ok(())
    }

    fn remove(&mut self, row: u32) {
        let Removed { row, last, owner } = self.rows.remove(row);
        for members in self.tiers.values_mut() {
            members.drop_row(owner.rider, row);
            members.moved(last, row);
        }
    }

    fn join(&mut self, tier: Tier, rider: RiderId) {
        let Self { rows, tiers } = self;
        let Some(members) = tiers.get_mut(&tier) else { return };
        if members.join(rider) {
            rows.rows_of(rider).into_iter().for_each(|row| members.add(rider, row, &rows.code(row)));
        }
    }

    fn leave(&mut self, tier: Tier, rider: RiderId) {
        let Self { rows, tiers } = self;
        let Some(members) = tiers.get_mut(&tier) else { return };
        rows.rows_of(rider).into_iter().for_each(|row| members.drop_row(rider, row));
        members.leave(rider);
    }
}

impl Engine for Index {
    fn put(&mut self, template: &Template) -> Result<(), EngineError> {
        Self::put(self, template)
    }

    fn remove(&mut self, template: TemplateId) -> Result<bool, EngineError> {
        Ok(Self::remove(self, template))
    }

    fn search(&self, probe: &Embedding, k: usize) -> Result<Vec<Hit>, EngineError> {
        let answers = self.search_all(&[Query { probe, tiers: &[] }], k)?;
        let mut hits = answers.into_iter().next().map(|answer| answer.hits).unwrap_or_default();
        hits.truncate(k);
        Ok(hits)
    }

    fn similarity(&self, probe: &Embedding, template: TemplateId) -> Result<Option<Similarity>, EngineError> {
        self.cosine_to(probe, template)
    }

    fn len(&self) -> usize {
        Self::len(self)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index(model={}, dims={}, templates={})", self.model, self.shape.dims, self.len())
    }
}
