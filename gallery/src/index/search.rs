//! From probes to hits: scan, compare, and what changed meanwhile.

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use std::collections::HashSet;

use facegate_domain::face::Embedding;
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_domain::score::{Similarity, Tier};
use zeroize::Zeroizing;

use super::candidates::Candidates;
use super::members::Members;
use super::rows::Rows;
use super::scan::{self, BLOCK_ROWS, Kernel, PROBES_MAX, Tables};
use super::weights::Weights;
use super::{Contents, Index, quantise};
use crate::engine::{EngineError, Hit, best_first};

/// Rows ahead of the comparison that memory is asked for.
const AHEAD: usize = 12;

/// One probe and where to look for its mate beside the city.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub probe: &'a Embedding,
    pub tiers: &'a [Tier],
}

/// What a search found, all of it held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Of all templates, best first: those of the `k` riders who come first.
    pub hits: Vec<Hit>,
    /// Riders with a template.
    pub riders: usize,
    pub tiers: Vec<TierAnswer>,
}

/// What the same search found in one narrow tier.
#[derive(Debug, Clone, PartialEq)]
pub struct TierAnswer {
    pub tier: Tier,
    /// Of the members' templates, best first, likewise.
    pub hits: Vec<Hit>,
    /// Members with a template.
    pub riders: usize,
    /// Which riders of the city's hits are members.
    pub among_hits: Vec<RiderId>,
}

impl Answer {
    /// The same for a smaller `k`.
    #[must_use]
    pub fn first(mut self, k: usize) -> Self {
        self.hits = first_riders(self.hits.into_iter(), k);
        for tier in &mut self.tiers {
            tier.hits = first_riders(std::mem::take(&mut tier.hits).into_iter(), k);
        }
        self
    }

    /// What it had been without looking at tiers.
    #[must_use]
    pub fn without_tiers(&self) -> Self {
        Self { hits: self.hits.clone(), riders: self.riders, tiers: Vec::new() }
    }
}

/// A probe made ready.
struct Ready<'a> {
    tiers: &'a [Tier],
    rotated: Zeroizing<Vec<f32>>,
    sum: f32,
    weights: Weights,
    tables: Tables,
}

impl Index {
    /// The templates of the `k` best riders of each probe, in one pass over the rows for all of them.
    ///
    /// Sees every change that returned before it began; what changes while it runs, it may see or not. Errors if a
    /// probe is of another model or size.
    pub fn search_all(&self, queries: &[Query<'_>], k: usize) -> Result<Vec<Answer>, EngineError> {
        let ready = queries.iter().map(|query| self.ready(query)).collect::<Result<Vec<_>, _>>()?;
        // Nearly always once: only a flood of changes makes a search forget which rows it may have missed.
        loop {
            let before = self.read().rows.changes();
            let found = self.scan(&ready, self.tuning.compared.max(8 * k));
            let answers = ready.iter().zip(&found).map(|(probe, found)| self.finish(probe, found, before, k));
            if let Some(answers) = answers.collect() {
                return Ok(answers);
            }
        }
    }

    /// The `k` best by comparing with every template, for checking [`Index::search_all`]. Slow; gives way to changes.
    pub fn search_exhaustively(&self, probe: &Embedding, k: usize) -> Result<Vec<Hit>, EngineError> {
        let ready = self.ready(&Query { probe, tiers: &[] })?;
        loop {
            let before = self.read().rows.changes();
            let mut best: Vec<(f32, u32)> = Vec::new();
            let mut from = 0;
            loop {
                let contents = self.read();
                let to = contents.rows.len().min(from + self.tuning.tile_rows.div_ceil(8));
                best.extend((from as u32..to as u32).map(|row| self.compared(&contents.rows, &ready, row)));
                drop(contents);
                best = best_of(best, k);
                if from >= to {
                    break;
                }
                from = to;
            }
            let contents = self.read();
            let Some(changed) = contents.rows.changed_since(before).map(sorted) else { continue };
            if best.iter().any(|(_, row)| changed.binary_search(row).is_ok()) {
                // What it pushed out may belong to the best.
                continue;
            }
            best.extend(present(changed, &contents.rows).map(|row| self.compared(&contents.rows, &ready, row)));
            return Ok(hits(best, k, &contents.rows));
        }
    }

    /// The similarity to one template; `None` if it is not held.
    pub fn cosine_to(&self, probe: &Embedding, template: TemplateId) -> Result<Option<Similarity>, EngineError> {
        let ready = self.ready(&Query { probe, tiers: &[] })?;
        let contents = self.read();
        let row = contents.rows.row_of(template);
        Ok(row.map(|row| Similarity::from_cosine(self.compared(&contents.rows, &ready, row).0)))
    }

    /// The `k` best of a tier alone.
    pub fn search_tier(&self, probe: &Embedding, tier: Tier, k: usize) -> Result<TierAnswer, EngineError> {
        let ready = self.ready(&Query { probe, tiers: &[] })?;
        let contents = self.read();
        Ok(self.in_tier(&contents, &ready, tier, k, &[]))
    }

    fn ready<'a>(&self, query: &Query<'a>) -> Result<Ready<'a>, EngineError> {
        query.probe.expect(&self.model, self.shape.dims)?;
        let rotated = self.rotation.apply(query.probe.values());
        let code_bytes = self.shape.code_bytes();
        let weights = Weights::new(&rotated[..8 * code_bytes]);
        let tables = Tables::new(self.tuning.kernel, &weights, code_bytes);
        Ok(Ready { tiers: query.tiers, sum: rotated.iter().sum(), rotated, weights, tables })
    }

    /// The first pass over everything.
    fn scan(&self, probes: &[Ready<'_>], wanted: usize) -> Vec<Candidates> {
        let rows = self.read().rows.len();
        let start = |probe: &Ready<'_>| Candidates::new(wanted, probe.weights.threshold(wanted, rows));
        let mut found: Vec<Candidates> = probes.iter().map(start).collect();
        self.scan_into(probes, &mut found);
        // Where scores are distributed otherwise than expected, look again from further below.
        for (probe, found) in probes.iter().zip(&mut found) {
            let mut lower = wanted;
            while found.len() < wanted / 4 && found.threshold() > 0 {
                lower *= 8;
                *found = Candidates::new(wanted, probe.weights.threshold(lower, rows));
                self.scan_into(std::slice::from_ref(probe), std::slice::from_mut(found));
            }
            found.keep_best();
        }
        found
    }

    fn scan_into(&self, probes: &[Ready<'_>], found: &mut [Candidates]) {
        let code_bytes = self.shape.code_bytes();
        let mut from = 0;
        loop {
            let contents = self.read();
            let rows = contents.rows.len();
            let codes = contents.rows.codes(from, self.tuning.tile_rows);
            if codes.is_empty() {
                return;
            }
            for (probes, found) in probes.chunks(PROBES_MAX).zip(found.chunks_mut(PROBES_MAX)) {
                let with: Vec<_> = probes.iter().zip(&*found).map(|(p, f)| (&p.tables, f.threshold())).collect();
                scan::scan(code_bytes, codes, &with, |hits| {
                    let first = from + hits.block * BLOCK_ROWS;
                    let block = &codes[hits.block * BLOCK_ROWS * code_bytes..][..BLOCK_ROWS * code_bytes];
                    let row = |place: usize| (first + place < rows).then_some((first + place) as u32);
                    found[hits.probe].take(hits, block, row);
                });
                found.iter_mut().for_each(Candidates::settle);
            }
            from += codes.len() / code_bytes;
        }
    }

    /// Compares in full, under one lock. `None` if more changed since `before` than is remembered.
    fn finish(&self, probe: &Ready<'_>, found: &Candidates, before: u64, k: usize) -> Option<Answer> {
        let contents = self.read();
        let rows = &contents.rows;
        let changed = sorted(rows.changed_since(before)?);
        // A candidate's row may hold somebody else by now, or nobody; whoever stood there is among the changed.
        let unchanged = |row: u32| (row as usize) < rows.len() && changed.binary_search(&row).is_err();
        let mut best = self.compare(rows, probe, found, unchanged);
        best.extend(present(changed, rows).map(|row| self.compared(rows, probe, row)));
        let hits = hits(best, k, rows);
        let tiers = probe.tiers.iter().map(|tier| self.in_tier(&contents, probe, *tier, k, &hits)).collect();
        Some(Answer { hits, riders: rows.riders_len(), tiers })
    }

    fn in_tier(&self, contents: &Contents, probe: &Ready<'_>, tier: Tier, k: usize, hits: &[Hit]) -> TierAnswer {
        let Some(members) = contents.tiers.get(&tier) else {
            return TierAnswer { tier, hits: vec![], riders: 0, among_hits: vec![] };
        };
        let found = self.scan_members(members, probe, self.tuning.compared_in_tier.max(2 * k));
        let best = self.compare(&contents.rows, probe, &found, |_| true);
        let among_hits = hits.iter().map(|hit| hit.rider).filter(|rider| members.contains(*rider)).collect();
        TierAnswer { tier, hits: self::hits(best, k, &contents.rows), riders: members.enrolled(), among_hits }
    }

    fn scan_members(&self, members: &Members, probe: &Ready<'_>, wanted: usize) -> Candidates {
        let code_bytes = self.shape.code_bytes();
        let mut lower = wanted;
        loop {
            let threshold = probe.weights.threshold(lower, members.templates());
            let mut found = Candidates::new(wanted, threshold);
            for (tile, codes) in members.codes().chunks(self.tuning.tile_rows * code_bytes).enumerate() {
                scan::scan(code_bytes, codes, &[(&probe.tables, found.threshold())], |hits| {
                    let first = tile * self.tuning.tile_rows + hits.block * BLOCK_ROWS;
                    let block = &codes[hits.block * BLOCK_ROWS * code_bytes..][..BLOCK_ROWS * code_bytes];
                    found.take(hits, block, |place| members.row(first + place));
                });
                found.settle();
            }
            if found.len() >= wanted / 4 || threshold == 0 {
                found.keep_best();
                return found;
            }
            lower *= 8;
        }
    }

    fn compare(
        &self,
        rows: &Rows,
        probe: &Ready<'_>,
        found: &Candidates,
        counts: impl Fn(u32) -> bool,
    ) -> Vec<(f32, u32)> {
        let code_bytes = self.shape.code_bytes();
        let mut best = Vec::with_capacity(found.len());
        let mut ahead = found.iter();
        let mut ask = || {
            if let Some((row, _)) = ahead.next().filter(|(row, _)| counts(*row)) {
                self.prefetch(rows.face(row));
            }
        };
        (0..AHEAD).for_each(|_| ask());
        for (row, code) in found.iter() {
            ask();
            if counts(row) {
                best.push((self.cosine(rows, probe, row, &code[..code_bytes]), row));
            }
        }
        best
    }

    fn compared(&self, rows: &Rows, probe: &Ready<'_>, row: u32) -> (f32, u32) {
        (self.cosine(rows, probe, row, &rows.code(row)), row)
    }

    fn cosine(&self, rows: &Rows, probe: &Ready<'_>, row: u32, code: &[u8]) -> f32 {
        let (rest, scale) = rows.rest(row);
        match self.tuning.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => scan::x86::cosine_avx512(&probe.rotated, probe.sum, code, rest, scale),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => scan::x86::cosine_avx2(&probe.rotated, probe.sum, code, rest, scale),
            _ => quantise::cosine(&probe.rotated, probe.sum, code, rest, scale),
        }
    }

    fn prefetch(&self, bytes: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.tuning.kernel != Kernel::Portable {
            scan::x86::prefetch(bytes);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = bytes;
    }
}

/// Each row once, in order.
fn sorted(mut rows: Vec<u32>) -> Vec<u32> {
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// The changed rows that hold a template now.
fn present(changed: Vec<u32>, rows: &Rows) -> impl Iterator<Item = u32> {
    let len = rows.len();
    changed.into_iter().filter(move |row| (*row as usize) < len)
}

fn best_of(mut best: Vec<(f32, u32)>, k: usize) -> Vec<(f32, u32)> {
    if best.len() > k {
        best.select_nth_unstable_by(k, |a, b| b.0.total_cmp(&a.0));
        best.truncate(k);
    }
    best
}

/// The best rows as hits, best first: see [`first_riders`].
fn hits(best: Vec<(f32, u32)>, k: usize, rows: &Rows) -> Vec<Hit> {
    let hit = |(cosine, row)| {
        let owner = rows.owner(row);
        Hit {
            template: owner.template,
            rider: owner.rider,
            rider_templates: rows.rows_of(owner.rider).len(),
            photographs: u32::from(owner.photographs),
            similarity: Similarity::from_cosine(cosine),
        }
    };
    let mut best = best_of(best, hits_max(k));
    best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut hits = first_riders(best.into_iter().map(hit), k);
    best_first(&mut hits, usize::MAX);
    hits
}

/// Most hits for `k` riders: bounded, yet nobody should have so many templates that they hide his twin.
const fn hits_max(k: usize) -> usize {
    if k == 0 { 0 } else { 4 * k + 60 }
}

/// As many of these hits, which come best first, as it takes to name `k` different riders: if templates were counted
/// instead, one rider with two could keep out the one who resembles him.
fn first_riders(hits: impl Iterator<Item = Hit>, k: usize) -> Vec<Hit> {
    let mut riders = HashSet::with_capacity(k);
    let among = |hit: &Hit| riders.contains(&hit.rider) || (riders.len() < k && riders.insert(hit.rider));
    hits.take(hits_max(k)).take_while(among).collect()
}
