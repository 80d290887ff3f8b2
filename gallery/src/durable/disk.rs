//! Every change that the gallery's files make on the disk, so that a test can let each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A new file, readable by its owner alone.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// In place of what the path named.
    pub fn create(path: &Path) -> io::Result<Self> {
        step()?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map(Self)
    }

    /// Makes content and size durable.
    pub fn sync(&self) -> io::Result<()> {
        step()?;
        self.0.sync_data()
    }

    pub fn set_len(&self, bytes: u64) -> io::Result<()> {
        step()?;
        self.0.set_len(bytes)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = step() {
            // A disk that fills takes what still fits.
            let _ = self.0.write(&bytes[..bytes.len() / 2]);
            return Err(error);
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    fs::rename(from, to)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    step()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes names in a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    step()?;
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(here)?.sync_all()
}

/// To be called before every change.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub const fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub use faults::step;

/// Faults of the calling thread's disk.
#[cfg(test)]
pub mod faults {
    use std::cell::Cell;
    use std::io;
    use std::ops::Range;

    thread_local! {
        static STEP: Cell<u64> = const { Cell::new(0) };
        static FAILING: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    /// From now on steps count from 0, and those in the range fail.
    pub fn fail(steps: Range<u64>) {
        STEP.set(0);
        FAILING.set((steps.start, steps.end));
    }

    pub fn none() {
        fail(0..0);
    }

    pub fn step() -> io::Result<()> {
        let step = STEP.replace(STEP.get() + 1);
        let (from, to) = FAILING.get();
        if (from..to).contains(&step) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}
