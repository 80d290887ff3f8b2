//! What is left at an entrance camera of somebody who walked by: nothing.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use facegate_domain::face::Embedding;
use facegate_models::liveness::LivenessPolicy;
use facegate_runtime::clock::Stopwatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::people::{engine_with, walk_up};
use crate::world::World;

/// All that this process logs at the debug level, every gate of every test in it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_the_process() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let begin = || {
            let log = Self::default();
            let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
            everything.with_writer(log.clone()).init();
            log
        };
        LOG.get_or_init(begin).clone()
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

/// A face in bytes, in one of the ways in which one comes to be in a file or a log: as it is sent, in hexadecimal, as a
/// list of bytes or of numbers.
fn is_in(face: &Embedding, bytes: &[u8]) -> bool {
    let wire: Vec<u8> = face.values()[..4].iter().flat_map(|value| value.to_le_bytes()).collect();
    let hexadecimal: String = wire.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", &wire[..8]).trim_matches(['[', ']']).to_owned();
    let forms = [wire, hexadecimal.into(), list.into(), format!("{}", face.values()[0]).into()];
    forms.iter().any(|form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form))
}

/// A picture begins so, whatever its file is called.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

fn look_through(dir: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { look_through(&path, look) } else { look(&path, &std::fs::read(&path).unwrap()) }
    }
}

#[test]
fn somebody_who_walks_by_an_entrance_camera_leaves_nothing_at_the_camera() {
    let log = Log::of_the_process();
    let mut world = World::entrance_camera(engine_with(LivenessPolicy::default()));
    let frames = walk_up("impostor_1.jpg", 6);
    let watch = Stopwatch::start();
    for frame in frames.iter().cycle() {
        if world.station.memory().sightings > 0 {
            break;
        }
        assert!(watch.elapsed() < Duration::from_secs(60), "no sighting");
        world.put(frame);
        thread::sleep(Duration::from_millis(300));
    }
    let seen = world.station.memory().sighted.clone().unwrap();
    // The next statuses, and whatever else the camera does when it has seen somebody.
    let statuses = world.station.memory().statuses.len();
    while world.station.memory().statuses.len() < statuses + 2 {
        assert!(watch.elapsed() < Duration::from_secs(90), "no status");
        thread::sleep(Duration::from_millis(50));
    }
    world.crash_gate();
    assert!(world.station.records().is_empty());
    assert_eq!(world.station.memory().searches, 0);
    let mut files = 0;
    look_through(&world.data(), &mut |path, content| {
        files += 1;
        assert!(!is_in(&seen, content) && !content.starts_with(JPEG), "{}", path.display());
        assert!(!path.components().any(|part| part.as_os_str() == "journal"), "a camera writes no records");
    });
    assert!(files > 0, "the camera's files are looked at");
    let said = log.0.lock().unwrap().clone();
    assert!(!said.is_empty() && !is_in(&seen, &said), "the log says who was seen");
    assert!(is_in(&seen, format!("{:?}", seen.values()).as_bytes()), "and it would be found");
}
