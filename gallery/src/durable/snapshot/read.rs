//! Reading a snapshot: one thread unseals piece after piece, another writes the rows.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use zeroize::Zeroizing;

use super::{CHANGED, END, NAME, ROWS};
use crate::durable::DurableError;
use crate::durable::format::{Format, Kind, Piece, Pieces};
use crate::index::{Index, Layout};

/// Pieces that may lie between the two threads.
const PIECES_WAITING_MAX: usize = 4;

type Unsealed = Result<Zeroizing<Vec<u8>>, DurableError>;

/// Reads the snapshot in `dir` into an empty index; gives its version, 0 without one.
pub fn read(dir: &Path, format: &Format, index: &mut Index) -> Result<u64, DurableError> {
    let path = dir.join(NAME);
    let failed = |source| DurableError::File { path: path.clone(), source };
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened.map_err(failed)?,
    };
    let mut input = BufReader::with_capacity(1 << 20, file);
    let pieces = format.resume(Kind::Snapshot, &path, &mut input)?;
    let pieces = pieces.ok_or_else(|| cut_short(&path))?;
    let layout = pieces.layout();
    let (send, receive) = sync_channel(PIECES_WAITING_MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| unseal(&path, pieces, input, send));
        restore(&path, index, layout, receive)
    })
}

/// Until the end of the file, the first fault, or until nobody listens any more.
#[expect(clippy::needless_pass_by_value, reason = "dropping the sender says that nothing follows")]
fn unseal(path: &Path, mut pieces: Pieces, mut input: impl Read, send: SyncSender<Unsealed>) {
    loop {
        let unsealed = match pieces.read(&mut input) {
            Ok(Piece::Whole(plain)) => Ok(plain),
            Ok(Piece::End) => return,
            Ok(Piece::Torn) => Err(cut_short(path)),
            Ok(Piece::Altered) => Err(damaged(path, "some of it was altered")),
            Err(source) => Err(DurableError::File { path: path.to_owned(), source }),
        };
        let fault = unsealed.is_err();
        if send.send(unsealed).is_err() || fault {
            return;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "dropping the receiver stops the other thread")]
fn restore(path: &Path, index: &mut Index, layout: Layout, pieces: Receiver<Unsealed>) -> Result<u64, DurableError> {
    let unreadable = || damaged(path, "its rows cannot be read");
    let size = |number| usize::try_from(number).map_err(|_| unreadable());
    while let Ok(plain) = pieces.recv() {
        let plain = plain?;
        let (kind, rest) = plain.split_first().ok_or_else(unreadable)?;
        let (number, rest) = rest.split_first_chunk::<8>().ok_or_else(unreadable)?;
        let number = u64::from_le_bytes(*number);
        match *kind {
            ROWS => index.restore_rows(size(number)?, rest, layout)?.ok_or_else(unreadable)?,
            CHANGED => index.restore_changed(rest, layout)?.ok_or_else(unreadable)?,
            END => {
                let len = rest.try_into().map(u64::from_le_bytes).map_err(|_| unreadable())?;
                index.restore_end(size(len)?).ok_or_else(unreadable)?;
                return match pieces.recv() {
                    Err(_) => Ok(number),
                    Ok(_) => Err(damaged(path, "something follows its end")),
                };
            }
            _ => return Err(unreadable()),
        }
    }
    Err(cut_short(path))
}

fn cut_short(path: &Path) -> DurableError {
    damaged(path, "it was cut short")
}

fn damaged(path: &Path, what: &'static str) -> DurableError {
    DurableError::Damaged { path: path.to_owned(), what }
}
