//! A network camera on loopback that does as it is told: motion JPEG over HTTP, one connection after the other.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What it sends.
#[derive(Clone)]
pub enum Sends {
    /// These pictures, again and again.
    Pictures(Vec<Vec<u8>>),
    /// Nothing over an open line.
    Nothing,
    /// It hangs up on whoever comes.
    HangsUp,
}

#[derive(Clone)]
pub struct NetworkCamera {
    pub url: String,
    sends: Arc<Mutex<(u64, Sends)>>,
    interval: Duration,
    sent: Arc<AtomicU64>,
}

impl NetworkCamera {
    pub fn start(sends: Sends, frames_per_second: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stream", listener.local_addr().unwrap());
        let interval = Duration::from_secs(1) / frames_per_second;
        let camera = Self { url, sends: Arc::new(Mutex::new((0, sends))), interval, sent: Arc::default() };
        let serving = camera.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = serving.clone();
                // A client that is gone is none of the camera's business.
                thread::spawn(move || drop(connection.serve(stream)));
            }
        });
        camera
    }

    pub fn sends(&self, sends: Sends) {
        let mut now = self.sends.lock().unwrap();
        *now = (now.0 + 1, sends);
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let _ = stream.read(&mut [0; 2000])?;
        if matches!(self.sends.lock().unwrap().1, Sends::HangsUp) {
            return Ok(());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")?;
        let (mut order, mut next) = (0, 0);
        loop {
            let picture = match &*self.sends.lock().unwrap() {
                (_, Sends::HangsUp) => return Ok(()),
                (_, Sends::Nothing) => None,
                (number, Sends::Pictures(pictures)) => {
                    next = if *number == order { (next + 1) % pictures.len() } else { 0 };
                    order = *number;
                    Some(pictures[next].clone())
                }
            };
            if let Some(picture) = picture {
                let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
                stream.write_all(&[head.as_bytes(), &picture, b"\r\n"].concat())?;
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(self.interval);
        }
    }
}
