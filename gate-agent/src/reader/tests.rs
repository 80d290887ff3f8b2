//! A serial reader over a pseudo-terminal, and one that comes and goes.

use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn next(events: &mut mpsc::Receiver<ReaderEvent>) -> ReaderEvent {
    timeout(PATIENCE, events.recv()).await.expect("the reader says something").expect("it goes on")
}

fn text(text: &str) -> ReaderEvent {
    ReaderEvent::Text(text.to_owned())
}

/// A pseudo-terminal's two ends: ours to type into, and the name of the other for the gate.
fn terminal() -> (File, PathBuf) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ptsname(&ours, Vec::new()).unwrap();
    (File::from_std(std::fs::File::from(ours)), PathBuf::from(theirs.into_string().unwrap()))
}

#[tokio::test]
async fn lines_come_over_a_serial_line_and_garbage_between_them_is_named() {
    let (mut wire, device) = terminal();
    let config = ReaderConfig { device, kind: ReaderKind::Serial { baud: 115_200 }, card_line: "CARD".into() };
    let mut events = follow(config, CancellationToken::new());
    assert_eq!(next(&mut events).await, ReaderEvent::Online);
    // The gate's end has been made raw by now.
    wire.write_all(b"FG1:ABC\r\nhttps://example.org/menu\nCARD\r\n").await.unwrap();
    assert_eq!(next(&mut events).await, text("FG1:ABC"));
    assert_eq!(next(&mut events).await, text("https://example.org/menu"));
    assert_eq!(next(&mut events).await, ReaderEvent::Card);
    wire.write_all(b"\x80\x81\xff\r\n").await.unwrap();
    assert_eq!(next(&mut events).await, ReaderEvent::Nonsense("no text"));
    for _ in 0..30 {
        wire.write_all(&[b'x'; 100]).await.unwrap();
    }
    wire.write_all(b"\r\n").await.unwrap();
    assert_eq!(next(&mut events).await, ReaderEvent::Nonsense("longer than any ride code"));
    wire.write_all(b"FG1:HALF-OF-A-LI").await.unwrap();
    tokio::time::sleep(2 * LINE_WITHIN).await;
    wire.write_all(b"FG1:WHOLE\n").await.unwrap();
    assert_eq!(next(&mut events).await, text("FG1:WHOLE"));
    drop(wire);
    assert!(matches!(next(&mut events).await, ReaderEvent::Lost(_)), "unplugged");
}

/// Opens at every other try, says a line, and is gone.
struct ComesAndGoes(Arc<Mutex<u32>>, bool);

#[async_trait]
impl Device for ComesAndGoes {
    async fn open(&mut self) -> io::Result<()> {
        let mut tries = self.0.lock().unwrap();
        *tries += 1;
        self.1 = true;
        if tries.is_multiple_of(2) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        if std::mem::take(&mut self.1) { Ok(b"FG1:A\n".to_vec()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_and_goes_is_found_again_and_never_tried_in_a_tight_loop() {
    let tries = Arc::new(Mutex::new(0));
    let device = Box::new(ComesAndGoes(Arc::clone(&tries), false));
    let mut events = follow_device(device, "CARD".into(), CancellationToken::new());
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        assert!(matches!(next(&mut events).await, ReaderEvent::Lost(_)));
        assert_eq!(next(&mut events).await, ReaderEvent::Online);
        assert_eq!(next(&mut events).await, text("FG1:A"));
        assert!(matches!(next(&mut events).await, ReaderEvent::Lost(_)));
    }
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_device_that_is_not_there_or_no_terminal_is_said_to_be_lost() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (device, kind) in [
        (PathBuf::from("/dev/no-such-reader"), ReaderKind::Serial { baud: 9600 }),
        (file.path().to_owned(), ReaderKind::Serial { baud: 9600 }),
        (PathBuf::from("/dev/input/no-such-reader"), ReaderKind::Hid),
        (file.path().to_owned(), ReaderKind::Hid),
    ] {
        let config = ReaderConfig { device, kind, card_line: "CARD".into() };
        let mut events = follow(config.clone(), CancellationToken::new());
        assert!(matches!(next(&mut events).await, ReaderEvent::Lost(_)), "{config:?}");
    }
}
