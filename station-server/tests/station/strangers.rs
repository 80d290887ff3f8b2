//! Somebody who is not enrolled walks by an entrance camera: afterwards nothing anywhere says that he did, but a count.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::kv::KvOptions;
use tracing_subscriber::fmt::MakeWriter;

use crate::faces::{face, look, passed, template};
use crate::sightings::sight;
use crate::world::{Running, World, eventually};

/// All that the station's process would have logged, at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// A runtime whose every thread logs here.
    fn runtime(&self) -> tokio::runtime::Runtime {
        let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        let here: tracing::Dispatch = everything.with_writer(self.clone()).finish().into();
        let log_here = move || std::mem::forget(tracing::dispatcher::set_default(&here));
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(log_here)
            .build()
            .unwrap()
    }

    fn said(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Whether a face is in these bytes, in one of the ways in which one comes to be in a file or a line of a log.
fn is_in(face: &Embedding, bytes: &[u8]) -> bool {
    let wire: Vec<u8> = face.values()[..4].iter().flat_map(|value| value.to_le_bytes()).collect();
    let hexadecimal: String = wire.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", &wire[..8]).trim_matches(['[', ']']).to_owned();
    let number = format!("{}", face.values()[0]);
    let forms = [wire, hexadecimal.to_uppercase().into(), hexadecimal.into(), list.into(), number.into()];
    forms.iter().any(|form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form))
}

/// Every file below, with what is in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.insert(path, content);
        }
    }
    found
}

/// The keys of everything in the database of a station that does not run.
fn keys(world: &World) -> BTreeSet<(&'static str, Vec<u8>)> {
    let options = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None, syncs: true };
    let state = RealDisk.database(&world.dir().join("data/state"), options).unwrap();
    let of = |tree| state.tree(tree).unwrap().iter().map(|pair| pair.unwrap().0).collect::<Vec<_>>();
    ["meta", "journals", "codes", "tombstones", "facts-a", "facts-b"]
        .into_iter()
        .flat_map(|tree| of(tree).into_iter().map(move |key| (tree, key)))
        .collect()
}

/// Templates and records; the database, which notes the moment of each report, is looked at when it is closed.
fn held(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut held = files(&world.dir().join("data/gallery"));
    held.extend(files(&world.dir().join("data/journal")));
    held.extend(files(&world.dir().join("data/keys")));
    held
}

/// What the cloud hears of next that does not tell the time.
async fn next_report(world: &World) -> v1::StationStatus {
    let before = world.cloud.seen.lock().unwrap().reports;
    eventually("there is another report", || async { world.cloud.seen.lock().unwrap().reports > before + 1 }).await;
    let report = world.cloud.seen.lock().unwrap().report.clone().unwrap();
    v1::StationStatus { lease_ends_unix_ms: 0, ..report }
}

async fn with_a_rider(world: &World, station: Running) -> BTreeSet<(&'static str, Vec<u8>)> {
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &face()))).await;
    next_report(world).await;
    station.stop().await;
    keys(world)
}

#[test]
fn a_stranger_at_the_entrance_leaves_nothing_in_files_logs_reports_or_records() {
    let log = Log::default();
    log.runtime().block_on(async {
        let world = World::new().await;
        let station = world.station().await;
        let keys_before = with_a_rider(&world, station).await;
        let station = world.station().await;
        let stranger = look(&face());
        let (held_before, report_before) = (held(&world), next_report(&world).await);
        sight(&world, &station, &stranger).await;
        assert_eq!(next_report(&world).await, report_before);
        assert!(held(&world) == held_before, "templates, keys or records have changed");
        assert!(world.cloud.seen.lock().unwrap().delivered.is_empty());
        assert!(!log.said().is_empty(), "the log is looked at");
        assert!(!is_in(&stranger, &log.said()));
        station.stop().await;
        assert_eq!(keys(&world), keys_before);
        for (path, content) in files(world.dir()) {
            assert!(!is_in(&stranger, &content), "{}", path.display());
        }
    });
}

#[test]
fn what_would_be_a_trace_is_found() {
    let seen = face();
    let wire: Vec<u8> = seen.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    for trace in [&wire[..], format!("{wire:?}").as_bytes(), format!("{:?}", seen.values()).as_bytes()] {
        assert!(is_in(&seen, &[b"before ", trace, b" after"].concat()));
    }
    assert!(!is_in(&seen, format!("{seen:?}").as_bytes()));
    Log::default().runtime().block_on(async {
        let world = World::new().await;
        let station = world.station().await;
        let keys_before = with_a_rider(&world, station).await;
        let station = world.station().await;
        let before = held(&world);
        let mut gate = world.gate(&station).await;
        gate.register(v1::RegisterRequest::default()).await.unwrap();
        let records = vec![passed("north-in", 1, 0)];
        gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap();
        assert!(held(&world) != before, "a record is a trace");
        station.stop().await;
        assert_ne!(keys(&world), keys_before);
    });
}
