//! FAISS's exact inner-product index, in blocks that removal keeps dense.
//!
//! FAISS cannot overwrite a row, and removing one from a flat index moves every row behind it. So the rows live in
//! blocks of [`BLOCK_ROWS`]: a removal touches only its block, whose hole the last row of the last block fills, and a
//! block that runs empty is freed. Every block but the last is full; the ids are ours, FAISS knows row numbers only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::Similarity;
use faiss::index::flat::FlatIndexImpl;
use faiss::selector::IdSelector;
use faiss::{ConcurrentIndex, Idx, Index};

use super::{Engine, EngineError, Hit, best_first};

/// Rows in a block: large enough that the call into FAISS costs nothing beside the scan (2 MiB at 128 dimensions),
/// small enough that a removal moves little.
const BLOCK_ROWS: usize = 4096;

/// See the module. One copy of each vector, 4 bytes a dimension, plus about 60 bytes of ids.
#[derive(Debug)]
pub struct FaissFlat {
    model: ModelId,
    dims: usize,
    block_rows: usize,
    blocks: Vec<Block>,
    places: HashMap<TemplateId, Place>,
    owners: HashMap<TemplateId, (RiderId, u32)>,
    /// How many templates each rider has.
    held: HashMap<RiderId, usize>,
}

#[derive(Debug)]
struct Block {
    index: FlatIndexImpl,
    /// Whose vector each row is.
    rows: Vec<TemplateId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    block: usize,
    row: usize,
}

impl FaissFlat {
    /// An empty index for embeddings of `model` with `dims` dimensions.
    pub fn new(model: ModelId, dims: usize) -> Self {
        Self::with_block_rows(model, dims, BLOCK_ROWS)
    }

    /// The same with another size of block: small ones let a test cross their edges often.
    pub fn with_block_rows(model: ModelId, dims: usize, block_rows: usize) -> Self {
        let (places, owners, held) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { model, dims, block_rows, blocks: Vec::new(), places, owners, held }
    }

    /// Blocks that hold rows, each with its memory.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn append(&mut self, template: TemplateId, values: &[f32]) -> Result<(), EngineError> {
        if self.blocks.last().is_none_or(|block| block.rows.len() == self.block_rows) {
            let dims = u32::try_from(self.dims).unwrap_or(u32::MAX);
            let index = FlatIndexImpl::new_ip(dims).map_err(|e| failed("new block", &e))?;
            self.blocks.push(Block { index, rows: Vec::new() });
        }
        let block = self.blocks.len() - 1;
        let place = Place { block, row: self.blocks[block].rows.len() };
        self.blocks[block].push(template, values)?;
        self.places.insert(template, place);
        Ok(())
    }

    fn forget_one(&mut self, rider: RiderId) {
        if let Entry::Occupied(mut held) = self.held.entry(rider) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    /// Takes the last row of the last block out, with its vector.
    fn pop(&mut self) -> Result<Option<(TemplateId, Vec<f32>)>, EngineError> {
        let Some(block) = self.blocks.last_mut() else { return Ok(None) };
        let row = block.rows.len() - 1;
        let values = block.values(row, self.dims).to_vec();
        let template = block.take(row)?;
        self.places.remove(&template);
        if block.rows.is_empty() {
            self.blocks.pop();
        }
        Ok(Some((template, values)))
    }
}

impl Block {
    fn push(&mut self, template: TemplateId, values: &[f32]) -> Result<(), EngineError> {
        self.index.add(values).map_err(|e| failed("insert", &e))?;
        self.rows.push(template);
        Ok(())
    }

    fn take(&mut self, row: usize) -> Result<TemplateId, EngineError> {
        let id = |row: usize| Idx::new(row as u64);
        let only = IdSelector::range(id(row), id(row + 1)).map_err(|e| failed("select", &e))?;
        self.index.remove_ids(&only).map_err(|e| failed("remove", &e))?;
        Ok(self.rows.remove(row))
    }

    fn values(&self, row: usize, dims: usize) -> &[f32] {
        &self.index.xb()[row * dims..][..dims]
    }
}

impl Engine for FaissFlat {
    fn put(&mut self, template: &Template) -> Result<(), EngineError> {
        template.embedding.expect(&self.model, self.dims)?;
        self.remove(template.id)?;
        self.append(template.id, template.embedding.values())?;
        self.owners.insert(template.id, (template.rider, template.photographs));
        *self.held.entry(template.rider).or_default() += 1;
        Ok(())
    }

    fn remove(&mut self, template: TemplateId) -> Result<bool, EngineError> {
        let Some(place) = self.places.get(&template).copied() else { return Ok(false) };
        let Some((last, values)) = self.pop()? else { return Ok(false) };
        if let Some((rider, _)) = self.owners.remove(&template) {
            self.forget_one(rider);
        }
        if last == template {
            return Ok(true);
        }
        let block = &mut self.blocks[place.block];
        block.take(place.row)?;
        self.places.remove(&template);
        for (row, moved) in block.rows.iter().enumerate().skip(place.row) {
            self.places.insert(*moved, Place { block: place.block, row });
        }
        let row = block.rows.len();
        block.push(last, &values)?;
        self.places.insert(last, Place { block: place.block, row });
        Ok(true)
    }

    fn search(&self, probe: &Embedding, k: usize) -> Result<Vec<Hit>, EngineError> {
        probe.expect(&self.model, self.dims)?;
        let mut hits = Vec::with_capacity(2 * k);
        for block in &self.blocks {
            // FAISS aborts on k = 0 and pads a k beyond its rows.
            let wanted = k.min(block.rows.len());
            if wanted == 0 {
                continue;
            }
            let found = block.index.search(probe.values(), wanted).map_err(|e| failed("search", &e))?;
            hits.extend(found.labels.iter().zip(&found.distances).filter_map(|(label, cosine)| {
                let row = usize::try_from(label.get()?).ok()?;
                let template = *block.rows.get(row)?;
                let (rider, photographs) = *self.owners.get(&template)?;
                let similarity = Similarity::from_cosine(*cosine);
                let rider_templates = self.held.get(&rider).copied().unwrap_or(1);
                Some(Hit { template, rider, rider_templates, photographs, similarity })
            }));
            best_first(&mut hits, k);
        }
        Ok(hits)
    }

    fn similarity(&self, probe: &Embedding, template: TemplateId) -> Result<Option<Similarity>, EngineError> {
        probe.expect(&self.model, self.dims)?;
        Ok(self.places.get(&template).map(|place| {
            let values = self.blocks[place.block].values(place.row, self.dims);
            Similarity::from_cosine(probe.values().iter().zip(values).map(|(a, b)| a * b).sum())
        }))
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

fn failed(what: &'static str, error: &faiss::error::Error) -> EngineError {
    EngineError::Index { what, message: error.to_string() }
}
