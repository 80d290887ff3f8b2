//! From an id to the rows that have it: row numbers alone, since the ids themselves stand in the rows.
//!
//! Many small open-addressed tables by hash, so that growing one never holds anybody up (a table is a few hundred
//! entries) and none is much larger than its content. An entry is a row with five bits of its hash, which spare most
//! looks at rows with another id.

#![allow(clippy::cast_possible_truncation, reason = "parts of a hash, and rows below ROWS_MAX")]

/// Rows that an entry can name.
pub const ROWS_MAX: usize = 1 << ROW_BITS;
const ROW_BITS: u32 = 27;
const EMPTY: u32 = u32::MAX;
const TABLES: usize = 1 << 13;
const TABLE_MIN: usize = 4;

/// Rows by a 16-byte id; an id may have several rows. The caller tells each row's id.
#[derive(Debug)]
pub struct RowsById {
    tables: Vec<Table>,
}

#[derive(Debug, Default, Clone)]
struct Table {
    entries: Vec<u32>,
    taken: usize,
}

impl RowsById {
    pub fn new() -> Self {
        Self { tables: vec![Table::default(); TABLES] }
    }

    /// Every row below `len`, at once, in tables that need not grow; and how many different ids they have.
    pub fn of_rows<'a>(len: u32, id_of: impl Fn(u32) -> &'a [u8; 16]) -> (Self, usize) {
        let mut sizes = vec![0; TABLES];
        (0..len).for_each(|row| sizes[self::hash(id_of(row)) as usize % TABLES] += 1);
        let table = |taken: usize| {
            let length = if taken == 0 { 0 } else { taken * 5 / 4 + TABLE_MIN };
            Table { entries: vec![EMPTY; length], taken }
        };
        let mut tables: Vec<_> = sizes.into_iter().map(table).collect();
        let mut different = 0;
        for new in 0..len {
            let id = id_of(new);
            let hash = self::hash(id);
            let table = &mut tables[hash as usize % TABLES];
            let held = table.chain(hash).map(|at| table.entries[at]);
            different += usize::from(!held.filter(|e| tag(*e) == tag_of(hash)).any(|e| id_of(row(e)) == id));
            table.place(hash, tag_of(hash) << ROW_BITS | new);
        }
        (Self { tables }, different)
    }

    /// Every row with this id, in no order.
    pub fn rows<'a, 'b>(
        &'a self,
        id: &'a [u8; 16],
        id_of: impl Fn(u32) -> &'b [u8; 16] + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        let hash = hash(id);
        let table = &self.tables[hash as usize % TABLES];
        table
            .chain(hash)
            .map(|at| table.entries[at])
            .filter(move |e| tag(*e) == tag_of(hash))
            .map(row)
            .filter(move |row| id_of(*row) == id)
    }

    /// Notes that `row` has this id.
    pub fn insert<'a>(&mut self, id: &[u8; 16], new: u32, id_of: impl Fn(u32) -> &'a [u8; 16]) {
        let hash = hash(id);
        let table = &mut self.tables[hash as usize % TABLES];
        if (table.taken + 1) * 8 > table.entries.len() * 7 {
            table.grow(|row| self::hash(id_of(row)));
        }
        table.place(hash, tag_of(hash) << ROW_BITS | new);
        table.taken += 1;
    }

    /// Forgets that `row` had this id. `id_of` is asked about other rows only.
    pub fn remove<'a>(&mut self, id: &[u8; 16], gone: u32, id_of: impl Fn(u32) -> &'a [u8; 16]) {
        let hash = hash(id);
        let table = &mut self.tables[hash as usize % TABLES];
        let Some(hole) = table.chain(hash).find(|at| row(table.entries[*at]) == gone) else { return };
        table.close(hole, |row| self::hash(id_of(row)));
        table.taken -= 1;
        if table.taken * 2 < table.entries.len() && table.entries.len() > TABLE_MIN {
            table.resize(table.taken * 4 / 3 + TABLE_MIN, |row| self::hash(id_of(row)));
        }
    }

    /// The row `from` is `to` now.
    pub fn moved(&mut self, id: &[u8; 16], from: u32, to: u32) {
        let hash = hash(id);
        let table = &mut self.tables[hash as usize % TABLES];
        let found = table.chain(hash).find(|at| row(table.entries[*at]) == from);
        if let Some(at) = found {
            table.entries[at] = tag_of(hash) << ROW_BITS | to;
        }
    }
}

impl Table {
    /// Where a hash's entries lie: from its home to the next empty place.
    fn chain(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let length = self.entries.len();
        let home = if length == 0 { 0 } else { home(hash, length) };
        (home..length).chain(0..home).take_while(|at| self.entries[*at] != EMPTY)
    }

    fn place(&mut self, hash: u64, entry: u32) {
        let mut at = home(hash, self.entries.len());
        while self.entries[at] != EMPTY {
            at = (at + 1) % self.entries.len();
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        self.resize((self.entries.len() * 9 / 8).max(self.entries.len() + TABLE_MIN), hash_of);
    }

    fn resize(&mut self, length: usize, hash_of: impl Fn(u32) -> u64) {
        let mut larger = Vec::with_capacity(length);
        larger.resize(length, EMPTY);
        let old = std::mem::replace(&mut self.entries, larger);
        old.into_iter().filter(|entry| *entry != EMPTY).for_each(|entry| self.place(hash_of(row(entry)), entry));
    }

    /// Empties a place and moves up what was pushed behind it: Knuth, algorithm 6.4 R.
    fn close(&mut self, mut hole: usize, hash_of: impl Fn(u32) -> u64) {
        let length = self.entries.len();
        let mut at = hole;
        loop {
            self.entries[hole] = EMPTY;
            loop {
                at = (at + 1) % length;
                if self.entries[at] == EMPTY {
                    return;
                }
                let home = home(hash_of(row(self.entries[at])), length);
                // Its home lies cyclically after the hole: it may stay.
                let stays = if hole <= at { hole < home && home <= at } else { hole < home || home <= at };
                if !stays {
                    break;
                }
            }
            self.entries[hole] = self.entries[at];
            hole = at;
        }
    }
}

const fn row(entry: u32) -> u32 {
    entry & (ROWS_MAX as u32 - 1)
}

const fn tag(entry: u32) -> u32 {
    entry >> ROW_BITS
}

/// Never all ones, so that no entry looks empty.
const fn tag_of(hash: u64) -> u32 {
    (hash >> 20) as u32 & 31 & !(((hash >> 20) as u32 & 31 == 31) as u32)
}

const fn home(hash: u64, length: usize) -> usize {
    (((hash >> 32) * length as u64) >> 32) as usize
}

fn hash(id: &[u8; 16]) -> u64 {
    let x = u128::from_le_bytes(*id);
    let mut z = (x as u64) ^ ((x >> 64) as u64).rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    z ^ (z >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn it_holds_what_was_put_through_any_life() {
        let mut rng = StdRng::seed_from_u64(2);
        // Few ids, so that rows share them, in tables that grow, shrink and wrap around.
        let ids: Vec<[u8; 16]> = (0..4000u32).map(|i| std::array::from_fn(|b| (i >> (b % 4 * 8)) as u8)).collect();
        let of_row: Vec<usize> = (0..50_000).map(|_| rng.random_range(0..ids.len())).collect();
        let id_of = |row: u32| &ids[of_row[row as usize]];
        let (mut rows, mut held) = (RowsById::new(), HashSet::new());
        for step in 0..60_000 {
            let row = rng.random_range(0..of_row.len() as u32);
            if held.remove(&row) {
                rows.remove(id_of(row), row, id_of);
            } else {
                held.insert(row);
                rows.insert(id_of(row), row, id_of);
            }
            if step % 20_000 == 0 {
                for (i, id) in ids.iter().enumerate() {
                    let found: HashSet<u32> = rows.rows(id, id_of).collect();
                    assert!(found.iter().all(|row| held.contains(row)));
                    assert_eq!(found.len(), held.iter().filter(|row| of_row[**row as usize] == i).count());
                }
            }
        }
    }
}
