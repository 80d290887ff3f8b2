//! A test run once more as a process of its own under `strace`, and what it wrote, synced and acknowledged, in order.

use std::collections::HashMap;
use std::process::Command;

/// What a child prints when it has been told that a record is kept.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// A completed write or sync of one kind of file, or an acknowledgement that was about to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Wrote { file: String, bytes: u64 },
    Synced { file: String },
    Acknowledged,
}

/// Runs the ignored test `child` of this binary under `strace`.
pub fn trace(child: &str) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("strace");
    let calls = "trace=write,pwrite64,pwritev,fdatasync,fsync,sync_file_range";
    let status = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", calls, "-s", "16", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .expect("strace is there: `cargo xtask test` installs it, or apt-get install strace");
    assert!(status.status.success(), "{child}: {}", String::from_utf8_lossy(&status.stderr));
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let mut unfinished = HashMap::new();
    text.lines().filter_map(|line| event(line, &mut unfinished)).collect()
}

/// One line: `pid call(fd</path>, …) = result`, perhaps in two parts with other threads' lines between.
fn event<'a>(line: &'a str, unfinished: &mut HashMap<&'a str, &'a str>) -> Option<Event> {
    let (pid, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    // What was acknowledged before its record was synced was so from the moment at which the call began.
    if rest.starts_with("write(1<") && rest.contains(ACKNOWLEDGED) {
        return Some(Event::Acknowledged);
    }
    if rest.ends_with("<unfinished ...>") {
        unfinished.insert(pid, rest);
        return None;
    }
    let begun = if rest.starts_with("<...") { unfinished.remove(pid)? } else { rest };
    let call = begun.split('(').next()?;
    let file = begun.split_once('<')?.1.split_once('>')?.0.to_owned();
    let result: i64 = rest.rsplit_once("= ")?.1.split_whitespace().next()?.parse().ok()?;
    let bytes = u64::try_from(result).ok()?;
    match call {
        "write" | "pwrite64" | "pwritev" => Some(Event::Wrote { file, bytes }),
        "fdatasync" | "fsync" => Some(Event::Synced { file }),
        _ => None,
    }
}

/// Tells the parent.
pub fn acknowledge() {
    use std::io::Write;
    // One call of `write`, so that it is one line of the trace.
    std::io::stdout().write_all(format!("\n{ACKNOWLEDGED}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// At each acknowledgement: bytes of the files written, of those synced, and the number of syncs. Bytes count as synced
/// only if they were written before the sync was done.
pub fn at_each_acknowledgement(events: &[Event], of: impl Fn(&str) -> bool) -> Vec<(u64, u64, u64)> {
    let (mut written, mut synced, mut syncs) = (0, 0, 0);
    let mut seen = Vec::new();
    for event in events {
        match event {
            Event::Wrote { file, bytes } if of(file) => written += bytes,
            Event::Synced { file } if of(file) => (synced, syncs) = (written, syncs + 1),
            Event::Acknowledged => seen.push((written, synced, syncs)),
            _ => {}
        }
    }
    seen
}
