//! One tier as the index sees it: the codes of its members' templates once more, packed, so that searching it costs in
//! proportion to its own size. Everything else of a template stays where it is; a member costs the code once more and its
//! row number.

#![allow(clippy::cast_possible_truncation, reason = "fewer members than rows")]

use std::collections::HashMap;

use facegate_domain::ids::RiderId;

use super::scan::BLOCK_ROWS;

/// Room that is kept though nobody needs it: below this, giving it back gains nothing.
const SPARE_MIN: usize = 4096;

/// See the module. Riders may be members before they have a template here.
#[derive(Debug)]
pub struct Members {
    code_bytes: usize,
    /// By rider: how many templates he has here.
    riders: HashMap<RiderId, usize>,
    /// Riders with a template.
    enrolled: usize,
    /// Columns of the blocks, as in `scan`.
    codes: Vec<[u8; BLOCK_ROWS]>,
    rows: Vec<u32>,
    /// Where in `rows` a row stands.
    places: HashMap<u32, u32>,
}

impl Members {
    pub fn new(code_bytes: usize) -> Self {
        let (riders, places) = (HashMap::new(), HashMap::new());
        Self { code_bytes, riders, enrolled: 0, codes: Vec::new(), rows: Vec::new(), places }
    }

    pub fn contains(&self, rider: RiderId) -> bool {
        self.riders.contains_key(&rider)
    }

    /// Members with a template.
    pub fn enrolled(&self) -> usize {
        self.enrolled
    }

    /// The row of the member template at this place of the scan; `None` behind the last.
    pub fn row(&self, place: usize) -> Option<u32> {
        self.rows.get(place).copied()
    }

    pub fn templates(&self) -> usize {
        self.rows.len()
    }

    /// Whole blocks of codes, for the scan.
    pub fn codes(&self) -> &[u8] {
        self.codes.as_flattened()
    }

    /// False if he was one already.
    pub fn join(&mut self, rider: RiderId) -> bool {
        let new = !self.contains(rider);
        if new {
            self.riders.insert(rider, 0);
        }
        new
    }

    /// Takes a rider out whose templates were taken out before.
    pub fn leave(&mut self, rider: RiderId) {
        self.riders.remove(&rider);
    }

    /// A member's template stands in this row.
    pub fn add(&mut self, rider: RiderId, row: u32, code: &[u8]) {
        let place = self.rows.len();
        if place.is_multiple_of(BLOCK_ROWS) {
            self.codes.resize(self.codes.len() + self.code_bytes, [0; BLOCK_ROWS]);
        }
        self.rows.push(row);
        self.places.insert(row, place as u32);
        self.write(place, code);
        let templates = self.riders.entry(rider).or_default();
        *templates += 1;
        self.enrolled += usize::from(*templates == 1);
    }

    /// The row holds no member's template any more.
    pub fn drop_row(&mut self, rider: RiderId, row: u32) {
        let Some(place) = self.places.remove(&row) else { return };
        let (place, last) = (place as usize, self.rows.len() - 1);
        if place != last {
            let code = self.code(last);
            self.write(place, &code);
            self.rows[place] = self.rows[last];
            self.places.insert(self.rows[place], place as u32);
        }
        self.write(last, &vec![0; self.code_bytes]);
        self.rows.truncate(last);
        self.codes.truncate(last.div_ceil(BLOCK_ROWS) * self.code_bytes);
        if self.rows.capacity() > SPARE_MIN.max(4 * last) {
            self.rows.shrink_to(2 * last);
            self.codes.shrink_to(2 * last.div_ceil(BLOCK_ROWS) * self.code_bytes);
            self.places.shrink_to(2 * last);
            self.riders.shrink_to(2 * last);
        }
        if let Some(templates) = self.riders.get_mut(&rider) {
            *templates -= 1;
            self.enrolled -= usize::from(*templates == 0);
        }
    }

    /// What stood in row `from` stands in row `to` now.
    pub fn moved(&mut self, from: u32, to: u32) {
        if let Some(place) = self.places.remove(&from) {
            self.rows[place as usize] = to;
            self.places.insert(to, place);
        }
    }

    /// The sign bits of the member template at this place.
    pub fn code(&self, place: usize) -> Vec<u8> {
        self.block(place).iter().map(|column| column[place % BLOCK_ROWS]).collect()
    }

    fn write(&mut self, place: usize, code: &[u8]) {
        let from = place / BLOCK_ROWS * self.code_bytes;
        let block = &mut self.codes[from..from + self.code_bytes];
        block.iter_mut().zip(code).for_each(|(column, byte)| column[place % BLOCK_ROWS] = *byte);
    }

    fn block(&self, place: usize) -> &[[u8; BLOCK_ROWS]] {
        let from = place / BLOCK_ROWS * self.code_bytes;
        &self.codes[from..from + self.code_bytes]
    }
}
