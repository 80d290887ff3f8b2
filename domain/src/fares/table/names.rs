//! Lines and areas are known by name in the file and by number in memory, so that a set of them is one word.

/// As many as a word has bits.
pub const NAMES_MAX: usize = 64;

/// Names in the order of their first mention.
#[derive(Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// The number of the name, a new one at its first mention; None if there are too many.
    pub fn add(&mut self, name: &str) -> Option<u8> {
        let at = self.0.iter().position(|known| known == name).or_else(|| {
            (self.0.len() < NAMES_MAX).then(|| {
                self.0.push(name.to_owned());
                self.0.len() - 1
            })
        })?;
        u8::try_from(at).ok()
    }

    /// The set of known names as bits.
    ///
    /// Errors: the first that is not known.
    pub fn set<'n>(&self, names: &'n [String]) -> Result<u64, &'n str> {
        names.iter().try_fold(0, |set, name| {
            let at = self.0.iter().position(|known| known == name).ok_or(name.as_str())?;
            Ok(set | 1 << at)
        })
    }
}
