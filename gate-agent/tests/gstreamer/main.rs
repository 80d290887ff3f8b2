//! Cameras behind GStreamer: its own test source in every form that we take, and a real RTSP server on loopback.
//! `cargo xtask test` installs what it needs and runs it last.
#![cfg(feature = "gstreamer")]
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_gate_agent::camera::gstreamer::{GstreamerSource, problem};
use facegate_gate_agent::camera::reconnecting::Reconnecting;
use facegate_gate_agent::camera::{Camera, CameraEvent, CapturedFrame, Picture};
use facegate_models::{Frame, PixelLayout};
use facegate_runtime::clock::SystemClock;

const WHITE: &str = "videotestsrc is-live=true pattern=white ! video/x-raw,width=322,height=180,framerate=20/1";

fn camera(pipeline: &str) -> Reconnecting<GstreamerSource> {
    assert_eq!(problem(pipeline), None);
    Reconnecting::new(GstreamerSource::new(pipeline.to_owned(), 1_000_000), clock())
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

async fn next(camera: &mut Reconnecting<GstreamerSource>) -> CameraEvent {
    tokio::time::timeout(Duration::from_secs(30), camera.next()).await.expect("the camera says something")
}

/// The next frame, whatever was lost before.
async fn frame(camera: &mut Reconnecting<GstreamerSource>) -> CapturedFrame {
    for _ in 0..100 {
        if let CameraEvent::Frame(frame) = next(camera).await {
            return frame;
        }
    }
    panic!("no frame comes");
}

async fn lost(camera: &mut Reconnecting<GstreamerSource>) -> String {
    for _ in 0..1000 {
        if let CameraEvent::Lost { reason } = next(camera).await {
            return reason;
        }
    }
    panic!("it is not lost");
}

#[tokio::test]
async fn raw_pictures_of_every_layout_are_taken_without_the_gaps_of_their_rows() {
    for (format, expected) in [("I420", PixelLayout::I420), ("NV12", PixelLayout::Nv12), ("YUY2", PixelLayout::Yuyv)] {
        let mut camera = camera(&format!("{WHITE},format={format}"));
        let Picture::Raw(raw) = frame(&mut camera).await.picture else { panic!("{format} is not raw") };
        assert_eq!((raw.layout, raw.width, raw.height), (expected, 322, 180), "{format}");
        let seen = Frame::from_camera(raw.layout, raw.range, raw.width, raw.height, raw.samples).unwrap();
        assert!(seen.luma().samples.iter().all(|value| *value > 250), "{format}: white is white to the last pixel");
    }
}

#[tokio::test]
async fn compressed_pictures_are_taken_as_they_are_with_the_time_of_their_capture() {
    let mut camera = camera(&format!("{WHITE} ! jpegenc"));
    let clock = clock();
    let first = frame(&mut camera).await;
    let second = frame(&mut camera).await;
    assert!(first.picture.bytes().starts_with(&[0xff, 0xd8, 0xff]) && &*first.device == "gstreamer:videotestsrc");
    assert_eq!((first.sequence, second.sequence), (0, 1));
    assert!(second.captured_ms >= first.captured_ms && second.captured_ms <= clock.monotonic_ms());
    let mut depth =
        self::camera("videotestsrc is-live=true ! video/x-raw,format=GRAY16_BE,width=64,height=48 ! pngenc");
    assert!(frame(&mut depth).await.picture.bytes().starts_with(b"\x89PNG"), "a depth stream");
}

#[tokio::test]
async fn a_pipeline_that_ends_is_started_again_and_what_does_not_run_says_why() {
    let mut short = camera("videotestsrc num-buffers=3 is-live=true ! video/x-raw,width=64,height=64 ! jpegenc");
    frame(&mut short).await;
    assert!(lost(&mut short).await.contains("ended"));
    frame(&mut short).await;
    let mut nobody = camera("rtspsrc location=rtsp://127.0.0.1:1/none ! rtpjpegdepay");
    let reason = lost(&mut nobody).await;
    assert!(!reason.is_empty(), "{reason}");
}

#[test]
fn a_pipeline_that_cannot_be_is_refused_before_it_runs() {
    for (pipeline, expected) in [
        ("no-such-element ! jpegenc", "no-such-element"),
        ("videotestsrc no-such-property=1", "no-such-property"),
        ("videotestsrc ! jpegenc ! appsink", "leave it out"),
        ("videotestsrc !", ""),
    ] {
        let said = problem(pipeline).unwrap_or_else(|| panic!("{pipeline} is taken"));
        assert!(said.contains(expected), "{pipeline}: {said}");
    }
}

#[tokio::test]
async fn memory_is_bounded_by_the_newest_pictures() {
    let mut fast = camera("videotestsrc ! video/x-raw,width=3840,height=2160,framerate=60/1,format=I420");
    frame(&mut fast).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mut waiting, begun) = (0, std::time::Duration::from_millis(5));
    while let Ok(CameraEvent::Frame(_)) = tokio::time::timeout(begun, fast.next()).await {
        waiting += 1;
        if waiting > 20 {
            break;
        }
    }
    assert!(waiting <= 20, "{waiting} pictures had been kept");
}

/// An RTSP server of GStreamer's in a process of its own.
struct RtspServer(Child);

impl RtspServer {
    fn start(port: u16) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gstreamer/rtsp_server.py");
        let mut server =
            Command::new("/usr/bin/python3").arg(script).arg(port.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "serving\n", "python3-gi and gir1.2-gst-rtsp-server-1.0 are needed");
        Self(server)
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn an_rtsp_camera_that_goes_away_is_found_again_when_it_is_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = RtspServer::start(port);
    let mut camera =
        camera(&format!("rtspsrc location=rtsp://127.0.0.1:{port}/gate latency=50 protocols=tcp ! rtpjpegdepay"));
    let first = frame(&mut camera).await;
    assert!(first.picture.bytes().starts_with(&[0xff, 0xd8, 0xff]));
    drop(server);
    lost(&mut camera).await;
    let _server = RtspServer::start(port);
    let again = frame(&mut camera).await;
    assert!(again.sequence > first.sequence && again.picture.bytes().starts_with(&[0xff, 0xd8, 0xff]));
}
