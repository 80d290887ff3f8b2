//! Depth and infrared streams beside the colour one: each frame goes with what those saw at about the same moment.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::{Camera, CameraEvent, Picture};

/// See the module's description.
pub struct WithSensors {
    colour: Box<dyn Camera>,
    depth: Option<Newest>,
    infrared: Option<Newest>,
    skew_max_ms: u64,
}

impl WithSensors {
    /// An image goes with a frame if they were captured within `skew_max_ms` of each other. Needs a tokio runtime.
    pub fn new(
        colour: Box<dyn Camera>,
        depth: Option<Box<dyn Camera>>,
        infrared: Option<Box<dyn Camera>>,
        skew_max_ms: u64,
    ) -> Self {
        let follow = |name| move |camera| Newest::follow(name, camera);
        Self { colour, depth: depth.map(follow("depth")), infrared: infrared.map(follow("infrared")), skew_max_ms }
    }
}

#[async_trait]
impl Camera for WithSensors {
    async fn next(&mut self) -> CameraEvent {
        let event = self.colour.next().await;
        let CameraEvent::Frame(mut frame) = event else { return event };
        let image = |sensor: &Option<Newest>| sensor.as_ref()?.at(frame.captured_ms, self.skew_max_ms);
        (frame.depth, frame.infrared) = (image(&self.depth), image(&self.infrared));
        CameraEvent::Frame(frame)
    }

    fn reopen(&mut self) {
        self.colour.reopen();
    }
}

impl fmt::Debug for WithSensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithSensors")
    }
}

/// An image with the time of its capture.
type Stamped = (u64, Vec<u8>);

/// The newest image of a stream, kept by a task that ends with this.
struct Newest {
    image: Arc<Mutex<Option<Stamped>>>,
    task: JoinHandle<()>,
}

impl Newest {
    fn follow(name: &'static str, mut camera: Box<dyn Camera>) -> Self {
        let image = Arc::new(Mutex::new(None));
        let newest = Arc::clone(&image);
        let task = tokio::spawn(async move {
            loop {
                let fault = match camera.next().await {
                    CameraEvent::Frame(frame) => match frame.picture {
                        Picture::Encoded(bytes) => {
                            *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((frame.captured_ms, bytes));
                            continue;
                        }
                        Picture::Raw(_) => "uncompressed; let the pipeline end in pngenc".to_owned(),
                    },
                    CameraEvent::BadFrame { reason } | CameraEvent::Lost { reason } => reason,
                };
                metrics::counter!("facegate_gate_sensor_faults_total", "sensor" => name).increment(1);
                tracing::warn!(sensor = name, fault, "no image of this sensor");
            }
        });
        Self { image, task }
    }

    fn at(&self, captured_ms: u64, skew_max_ms: u64) -> Option<Vec<u8>> {
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        image.as_ref().filter(|(at, _)| at.abs_diff(captured_ms) <= skew_max_ms).map(|(_, bytes)| bytes.clone())
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::camera::CapturedFrame;

    /// Gives what the test sends.
    struct Played(mpsc::Receiver<CameraEvent>);

    #[async_trait]
    impl Camera for Played {
        async fn next(&mut self) -> CameraEvent {
            match self.0.recv().await {
                Some(event) => event,
                None => std::future::pending().await,
            }
        }
    }

    fn frame(captured_ms: u64, bytes: &[u8]) -> CameraEvent {
        let picture = Picture::Encoded(bytes.to_vec());
        let device = "played".into();
        CameraEvent::Frame(CapturedFrame { sequence: 0, captured_ms, device, picture, depth: None, infrared: None })
    }

    #[tokio::test]
    async fn a_frame_goes_with_the_images_of_its_moment_and_with_no_older_ones() {
        let [(colour, colours), (depth, depths), (infrared, infrareds)] = std::array::from_fn(|_| mpsc::channel(4));
        let played = |receiver| Box::new(Played(receiver)) as Box<dyn Camera>;
        let mut camera = WithSensors::new(played(colours), Some(played(depths)), Some(played(infrareds)), 50);
        depth.send(frame(1000, b"depth")).await.unwrap();
        infrared.send(CameraEvent::Lost { reason: "unplugged".into() }).await.unwrap();
        infrared.send(frame(1040, b"infrared")).await.unwrap();
        let images = async |camera: &mut WithSensors| match camera.next().await {
            CameraEvent::Frame(frame) => (frame.depth, frame.infrared),
            other => panic!("{other:?}"),
        };
        let some = |bytes: &[u8]| Some(bytes.to_vec());
        // The followers have taken everything when the channels are empty and they wait again.
        while depth.capacity() < 4 || infrared.capacity() < 4 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        for (captured_ms, expected) in [
            (1020, (some(b"depth"), some(b"infrared"))),
            (1050, (some(b"depth"), some(b"infrared"))),
            (1051, (None, some(b"infrared"))),
            (1091, (None, None)),
        ] {
            colour.send(frame(captured_ms, b"colour")).await.unwrap();
            assert_eq!(images(&mut camera).await, expected, "{captured_ms}");
        }
    }
}
