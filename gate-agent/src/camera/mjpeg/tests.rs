//! Against servers on loopback that behave as cameras do, and as none should.

use std::sync::Arc;
use std::time::Duration;

use facegate_runtime::clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::camera::reconnecting::Reconnecting;
use crate::camera::{Camera, CameraEvent};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";

fn part(n: u8) -> Vec<u8> {
    [b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n".as_slice(), &[0xff, 0xd8, n, n], b"\r\n"]
        .concat()
}

/// A server whose connections are answered with these bytes, the last one's again and again; each then hangs up, or
/// holds the line in silence.
async fn serve(answers: Vec<Vec<u8>>, hangs_up: bool) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://guard:secret@{}/stream.mjpg", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 2000]).await;
            let answer = &answers[n.min(answers.len() - 1)];
            // A client that had enough hangs up first.
            let _ = stream.write_all(answer).await;
            if !hangs_up {
                held.push(stream);
            }
        }
    });
    Url::parse(&url).unwrap()
}

async fn camera(answers: Vec<Vec<u8>>) -> Reconnecting<MjpegSource> {
    let url = serve(answers, true).await;
    Reconnecting::new(MjpegSource::new(url, 1000), Arc::new(SystemClock::new()))
}

async fn says(camera: &mut Reconnecting<MjpegSource>) -> String {
    let event = tokio::time::timeout(Duration::from_secs(20), camera.next()).await.expect("it says something");
    match event {
        CameraEvent::Frame(frame) => format!("{} {:?}", frame.sequence, &frame.picture.bytes()[2..]),
        CameraEvent::BadFrame { reason } => format!("bad: {reason}"),
        CameraEvent::Lost { reason } => format!("lost: {reason}"),
    }
}

#[tokio::test]
async fn a_camera_that_hangs_up_is_called_again() {
    let stream = |n: u8| [HEAD.as_bytes(), &part(n), &part(n + 1)].concat();
    let mut camera = camera(vec![stream(1), stream(3)]).await;
    let mut said = Vec::new();
    for _ in 0..6 {
        said.push(says(&mut camera).await);
    }
    assert_eq!(said[..2], ["0 [1, 1]", "1 [2, 2]"]);
    assert!(said[2].starts_with("lost: "), "{}", said[2]);
    assert_eq!(said[3..5], ["2 [3, 3]", "3 [4, 4]"]);
}

#[tokio::test]
async fn what_is_no_camera_is_named_and_left() {
    let endless = |head: &str| [HEAD.as_bytes(), head.as_bytes(), &[b'x'; 50_000]].concat();
    let huge = format!("HTTP/1.1 200 OK\r\nX-Huge: {}\r\n\r\n", "x".repeat(2_000_000));
    let table = [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".as_bytes().to_vec(), "answered 401"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "answered 302",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>".to_vec(), "`text/html`, not multipart"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n".to_vec(), "with a boundary"),
        (endless("--other\r\n\r\n"), "boundary that the stream's header names does not come"),
        (endless("--frame\r\n\r\n"), "no end within 1000 bytes"),
        (endless("--frame\r\nX: "), "headers have no end"),
        (huge.into_bytes(), "line broke"),
        (b"garbage that is no HTTP\r\n\r\n".to_vec(), "line broke"),
        (b"".to_vec(), "line broke"),
    ];
    for (answer, expected) in table {
        let said = says(&mut camera(vec![answer]).await).await;
        assert!(said.starts_with("lost: ") && said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn a_camera_that_is_not_there_is_waited_for() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{nobody}/")).unwrap();
    let mut camera = Reconnecting::new(MjpegSource::new(url, 1000), Arc::new(SystemClock::new()));
    assert!(says(&mut camera).await.contains("cannot be reached"));
    let listener = TcpListener::bind(nobody).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 2000]).await;
        stream.write_all(&[HEAD.as_bytes(), &part(7)].concat()).await.unwrap();
        std::future::pending::<()>().await;
    });
    loop {
        let said = says(&mut camera).await;
        if said == "0 [7, 7]" {
            break;
        }
        assert!(said.starts_with("lost: "), "{said}");
    }
}

#[tokio::test]
async fn a_line_that_falls_silent_is_let_go() {
    let url = serve(vec![[HEAD.as_bytes(), &part(1)].concat()], false).await;
    let mut camera = Reconnecting::new(MjpegSource::new(url, 1000), Arc::new(SystemClock::new()));
    assert_eq!(says(&mut camera).await, "0 [1, 1]");
    assert!(says(&mut camera).await.starts_with("lost: "), "after {SILENCE_MAX:?}");
    assert_eq!(says(&mut camera).await, "1 [1, 1]");
}

#[test]
fn the_device_is_named_without_its_password() {
    let url = Url::parse("http://guard:secret@10.0.0.5:8080/a/stream?token=abc").unwrap();
    assert_eq!(MjpegSource::device(&url), "mjpeg:http://10.0.0.5:8080/a/stream");
}

#[test]
fn boundaries_are_found_in_every_writing() {
    let table = [
        ("multipart/x-mixed-replace; boundary=frame", Some("frame")),
        ("multipart/x-mixed-replace;boundary=--myboundary", Some("--myboundary")),
        ("Multipart/X-Mixed-Replace; charset=x; Boundary=\"a b\"", Some("\"a b\"")),
        ("multipart/x-mixed-replace", None),
        ("multipart/x-mixed-replace; boundary=--", None),
        ("image/jpeg", None),
    ];
    for (content, expected) in table {
        assert_eq!(boundary_of(content).as_deref(), expected, "{content}");
    }
}
