//! One request over HTTP and its answer, or what kept it from coming.

use reqwest::{RequestBuilder, StatusCode};

use super::Trouble;

/// Sends once and reads the whole answer.
pub(super) async fn exchange(request: RequestBuilder) -> Result<(StatusCode, String), Trouble> {
    let sent = request.send().await;
    let response = sent.map_err(|error| {
        let told = chain(&error);
        if error.is_connect() { Trouble::NotReached(told) } else { Trouble::NoAnswer(told) }
    })?;
    let status = response.status();
    let text = response.text().await.map_err(|error| Trouble::NoAnswer(chain(&error)))?;
    Ok((status, text))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error| Trouble::NoAnswer(format!("{error} in {text:?}")))
}

/// reqwest keeps the cause behind its own message.
fn chain(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        told.push_str(&format!(": {next}"));
        cause = next.source();
    }
    told
}
