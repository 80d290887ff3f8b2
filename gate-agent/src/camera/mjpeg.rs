//! Motion JPEG over HTTP (`multipart/x-mixed-replace`), as most network cameras offer it. The other side is not trusted:
//! see `multipart`. No redirect is followed, and no proxy is asked: frames come from the configured address.
//!
//! Such a stream tells no capture times; a frame counts as captured when the last byte of it has come.

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::Picture;
use super::multipart::{Next, Parts};
use super::reconnecting::{Pictures, Source, Taken};

/// A stream in which so long nothing comes has ended.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// See the module's description.
#[derive(Debug)]
pub struct MjpegSource {
    url: Url,
    frame_bytes_max: usize,
}

impl MjpegSource {
    /// `url` may carry a name and password for basic authentication.
    pub fn new(url: Url, frame_bytes_max: u64) -> Self {
        Self { url, frame_bytes_max: usize::try_from(frame_bytes_max).unwrap_or(usize::MAX) }
    }

    /// How the camera of this address names itself: without name and password.
    pub fn device(url: &Url) -> String {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("mjpeg:{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
    }
}

#[async_trait]
impl Source for MjpegSource {
    fn device(&self) -> String {
        Self::device(&self.url)
    }

    async fn open(&mut self) -> Result<Box<dyn Pictures>, String> {
        facegate_runtime::install_crypto();
        // No limit of the whole answer, which has no end.
        let client = Client::builder().no_proxy().redirect(Policy::none());
        let client = client.connect_timeout(CONNECT_WITHIN).read_timeout(SILENCE_MAX).build().map_err(|e| words(&e))?;
        let response = client.get(self.url.clone()).send().await.map_err(|e| words(&e))?;
        if !response.status().is_success() {
            return Err(format!("the camera answered {}", response.status()));
        }
        let content = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = boundary_of(content)
            .ok_or_else(|| format!("the camera sends `{content}`, not multipart/x-mixed-replace with a boundary"))?;
        let parts = Parts::new(&boundary, self.frame_bytes_max);
        Ok(Box::new(MjpegStream { response, parts }))
    }
}

/// What the error and its causes say, without the address, which may hold a password.
fn words(error: &reqwest::Error) -> String {
    let mut said =
        if error.is_connect() { "the camera cannot be reached" } else { "the camera's line broke" }.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said.push_str(": ");
        said.push_str(&inner.to_string());
        cause = inner.source();
    }
    said
}

fn boundary_of(content_type: &str) -> Option<String> {
    let mut fields = content_type.split(';');
    let kind = fields.next()?.trim().to_ascii_lowercase();
    if !kind.starts_with("multipart/") {
        return None;
    }
    let named = fields.filter_map(|field| field.trim().split_once('='));
    let boundary = named.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?.1.trim();
    (!boundary.trim_matches(['"', '-']).is_empty()).then(|| boundary.to_owned())
}

struct MjpegStream {
    response: Response,
    parts: Parts,
}

#[async_trait]
impl Pictures for MjpegStream {
    async fn next(&mut self) -> Result<Taken, String> {
        loop {
            match self.parts.next().map_err(|e| e.to_string())? {
                Next::Part(bytes) if bytes.is_empty() => return Ok(Taken::Bad("an empty part".into())),
                Next::Part(bytes) => return Ok(Taken::Picture { picture: Picture::Encoded(bytes), age_ms: 0 }),
                Next::End => return Err("the camera ended its stream".into()),
                Next::Hungry => match self.response.chunk().await.map_err(|e| words(&e))? {
                    Some(bytes) => self.parts.push(&bytes),
                    None => return Err("the camera hung up".into()),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
