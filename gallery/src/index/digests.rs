//! Digests over the rows: kept with each change, and now and then built anew from what the rows hold by then.

use facegate_domain::fingerprint::{Fingerprint, content_fact, owner_fact};

use super::rows::Held;

/// Parts of the digests: as `FactSet::Templates` and `FactSet::Contents` have them.
pub const BUCKETS: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Digests {
    /// Template and rider of every row.
    pub owners: Fingerprint,
    /// The same and what they hold.
    pub contents: Fingerprint,
    /// Rows whose content is not known.
    pub unknown: usize,
}

/// Digests that are being built anew.
#[derive(Debug, Default)]
pub struct Verification {
    /// The rows below are in them.
    pub next: u32,
    pub fresh: Digests,
}

impl Default for Digests {
    fn default() -> Self {
        Self { owners: Fingerprint::new(BUCKETS), contents: Fingerprint::new(BUCKETS), unknown: 0 }
    }
}

impl Digests {
    pub fn come(&mut self, held: &Held) {
        self.toggle(held);
        self.unknown += usize::from(held.content == 0);
    }

    /// What had come. If it has changed in memory since, the digests are wrong until they are built anew.
    pub fn go(&mut self, held: &Held) {
        self.toggle(held);
        self.unknown = self.unknown.saturating_sub(usize::from(held.content == 0));
    }

    fn toggle(&mut self, held: &Held) {
        let id = held.template.as_bytes();
        self.owners.toggle(id, owner_fact(held.template, held.rider));
        self.contents.toggle(id, content_fact(held.template, held.rider, held.content));
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::{RiderId, TemplateId};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::index::quantise::{Quantised, Shape};
    use crate::index::rows::{Owner, Rows};

    fn sum(rows: &Rows) -> Digests {
        let len = u32::try_from(rows.len()).unwrap();
        (0..len).fold(Digests::default(), |mut all, row| {
            all.come(&rows.held(row));
            all
        })
    }

    #[test]
    fn digests_built_anew_while_rows_come_and_go_are_those_that_were_kept() {
        let (mut rng, shape) = (StdRng::seed_from_u64(5), Shape::new(16));
        let mut rows = Rows::new(shape, 64);
        let mut built = 0;
        for _ in 0..6000 {
            let vector: Vec<f32> = (0..shape.padded).map(|_| rng.random_range(-1.0..1.0)).collect();
            let (face, seal) = (Quantised::new(shape, &vector), rng.random());
            let id = |rng: &mut StdRng| [rng.random::<u8>(); 16];
            let (template, rider) = (TemplateId::from_bytes(id(&mut rng)), RiderId::from_bytes(id(&mut rng)));
            let owner = Owner { template, rider, photographs: 1 };
            match rows.row_of(template) {
                Some(row) if rng.random() => drop(rows.remove(row)),
                Some(row) => rows.replace(row, &owner, &face, seal),
                None => drop(rows.append(&owner, &face, seal).unwrap()),
            }
            built += usize::from(rows.verify(rng.random_range(0..8)));
            let whole = sum(&rows);
            assert_eq!((rows.fingerprint(), rows.contents_fingerprint()), (&whole.owners, &whole.contents));
            assert_eq!(rows.unknown(), whole.unknown);
        }
        assert!(built > 20, "{built}");
    }
}
