//! The resident memory of processes over time, as the kernel tells it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Bytes by process, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Memory(BTreeMap<String, Vec<i64>>);

impl Memory {
    /// Reads once more: each process by its name and id.
    pub fn read(&mut self, processes: &[(String, u32)]) -> Result<()> {
        for (name, id) in processes {
            let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
            let bytes = resident(&status).with_context(|| format!("the kernel does not tell the memory of {name}"))?;
            self.note(name, bytes);
        }
        Ok(())
    }

    /// Something else that should not grow.
    pub fn note(&mut self, name: &str, bytes: i64) {
        self.0.entry(name.to_owned()).or_default().push(bytes);
    }

    pub fn last(&self) -> BTreeMap<String, i64> {
        self.0.iter().filter_map(|(name, bytes)| Some((name.clone(), *bytes.last()?))).collect()
    }

    /// From the second quarter to the last, by medians; in the first one caches fill.
    pub fn growth(&self) -> BTreeMap<String, i64> {
        let growth = |bytes: &Vec<i64>| {
            let quarter = bytes.len() / 4;
            let last = median(&bytes[bytes.len() - quarter.max(1)..]);
            last - median(&bytes[quarter..(2 * quarter).max(quarter + 1)])
        };
        self.0
            .iter()
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(name, bytes)| (name.clone(), growth(bytes)))
            .collect()
    }
}

fn median(of: &[i64]) -> i64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Of a process whose `/proc/…/status` this is.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_leaves_out_what_fills_in_the_beginning_and_single_peaks() {
        let of = |bytes: &[i64]| Memory([("gate".to_owned(), bytes.to_vec())].into()).growth()["gate"];
        assert_eq!(of(&[10, 50, 90, 100, 100, 100, 100, 100, 100, 100, 100, 100]), 0);
        assert_eq!(of(&[1, 1, 1, 10, 10, 10, 15, 15, 15, 20, 900, 20]), 10);
        assert_eq!(of(&[5]), 0);
    }

    #[test]
    fn the_kernels_words_are_read() {
        assert_eq!(resident("Name:\tgate\nVmRSS:\t  2048 kB\nThreads:\t4\n"), Some(2 << 20));
        assert_eq!(resident("Name:\tgone\n"), None);
    }
}
