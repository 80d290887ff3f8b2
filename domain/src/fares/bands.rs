//! Distance bands: consecutive, without hole or overlap, each with one price.

use crate::money::Money;

/// One band: journeys over `from_m` metres and up to and including `up_to_m` (the first also takes 0 m).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    pub from_m: u32,
    /// None: no upper end.
    pub up_to_m: Option<u32>,
    pub price: Money,
}

/// What is wrong with a list of bands. `number` counts from 1, as a person reading the file would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BandProblem {
    #[error("there is no band: give at least one [[band]]")]
    None,
    #[error("hole in the bands: nothing covers {from_m} m to {up_to_m} m, before band {number}")]
    Hole { number: usize, from_m: u32, up_to_m: u32 },
    #[error("overlap in the bands: band {number} begins at {from_m} m, but the one before it goes on to {before}")]
    Overlap { number: usize, from_m: u32, before: String },
    #[error("band {number} is empty: it goes from {from_m} m up to {up_to_m} m")]
    Empty { number: usize, from_m: u32, up_to_m: u32 },
    #[error("hole in the bands: they end at {up_to_m} m, but the longest journey, {from} to {to}, is {metres} m")]
    TooShort { up_to_m: u32, from: String, to: String, metres: u32 },
}

/// Bands in ascending order that cover every distance from 0 to the end of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bands(Vec<Band>);

impl Bands {
    /// Checks the list in the order of the file; all problems at once.
    pub fn new(bands: Vec<Band>) -> Result<Self, Vec<BandProblem>> {
        let mut problems = Vec::new();
        if bands.is_empty() {
            problems.push(BandProblem::None);
        }
        // Where the bands so far end: None once one without an upper end has been seen.
        let mut covered = Some(0);
        for (number, band) in (1..).zip(&bands) {
            match covered {
                Some(end) if band.from_m > end => {
                    problems.push(BandProblem::Hole { number, from_m: end, up_to_m: band.from_m });
                }
                Some(end) if band.from_m < end => {
                    problems.push(BandProblem::Overlap { number, from_m: band.from_m, before: format!("{end} m") });
                }
                None => {
                    problems.push(BandProblem::Overlap {
                        number,
                        from_m: band.from_m,
                        before: "any length".to_owned(),
                    });
                }
                Some(_) => {}
            }
            if let Some(up_to_m) = band.up_to_m.filter(|up_to_m| *up_to_m <= band.from_m) {
                problems.push(BandProblem::Empty { number, from_m: band.from_m, up_to_m });
            }
            covered = band.up_to_m;
        }
        if problems.is_empty() { Ok(Self(bands)) } else { Err(problems) }
    }

    /// The band of a journey of `metres`; None beyond the last.
    pub fn of(&self, metres: u32) -> Option<&Band> {
        let at = self.0.partition_point(|band| band.up_to_m.is_some_and(|up_to_m| up_to_m < metres));
        self.0.get(at)
    }

    /// Where the last band ends; None if it has no end.
    pub fn up_to_m(&self) -> Option<u32> {
        self.0.last().and_then(|band| band.up_to_m)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Band> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(from_m: u32, up_to_m: impl Into<Option<u32>>, minor: i64) -> Band {
        Band { from_m, up_to_m: up_to_m.into(), price: Money::from_minor(minor, "CNY".parse().unwrap()) }
    }

    #[test]
    fn a_boundary_belongs_to_the_band_that_ends_there() {
        let bands = Bands::new(vec![band(0, 6_000, 300), band(6_000, 12_000, 400), band(12_000, None, 500)]).unwrap();
        for (metres, minor) in
            [(0, 300), (1, 300), (6_000, 300), (6_001, 400), (12_000, 400), (12_001, 500), (u32::MAX, 500)]
        {
            assert_eq!(bands.of(metres).unwrap().price.minor(), minor, "{metres} m");
        }
        let ends = Bands::new(vec![band(0, 6_000, 300)]).unwrap();
        assert_eq!(ends.of(6_001), None);
        assert_eq!(ends.up_to_m(), Some(6_000));
    }

    #[test]
    fn holes_overlaps_and_empty_bands_are_each_named() {
        let problems = Bands::new(vec![
            band(100, 6_000, 300),
            band(7_000, 8_000, 400),
            band(7_500, 7_500, 400),
            band(7_500, None, 500),
            band(9_000, 10_000, 600),
        ])
        .unwrap_err();
        assert_eq!(
            problems,
            [
                BandProblem::Hole { number: 1, from_m: 0, up_to_m: 100 },
                BandProblem::Hole { number: 2, from_m: 6_000, up_to_m: 7_000 },
                BandProblem::Overlap { number: 3, from_m: 7_500, before: "8000 m".to_owned() },
                BandProblem::Empty { number: 3, from_m: 7_500, up_to_m: 7_500 },
                BandProblem::Overlap { number: 5, from_m: 9_000, before: "any length".to_owned() },
            ]
        );
        assert_eq!(Bands::new(Vec::new()), Err(vec![BandProblem::None]));
    }
}
