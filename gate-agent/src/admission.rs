//! Whether a rider whom the station grants passage may come in now: the operator's own rule, asked after the decision and
//! before anything is written or opened. Exits are never asked: nobody is kept in.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::tap::{Direction, Medium};
use facegate_runtime::http;
use facegate_runtime::identity::IdentityError;
use serde::{Deserialize, Serialize};

/// What holds when the policy does not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    #[default]
    Admit,
    Refuse,
}

/// Where a policy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePolicy {
    /// HTTPS, or HTTP on loopback: a thermometer's own program, say.
    pub url: reqwest::Url,
    /// Who signed its certificate (PEM), with HTTPS.
    pub ca: Option<PathBuf>,
    pub answer_within: Duration,
    pub otherwise: Otherwise,
}

/// The operator's rules; without any, everybody is admitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdmissionConfig {
    /// Entries through this gate in any minute.
    pub per_minute_max: Option<u32>,
    pub policy: Option<RemotePolicy>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Admission {
    gate: GateId,
    per_minute_max: Option<u32>,
    remote: Option<(reqwest::Client, RemotePolicy)>,
    /// Entries of the last minute, on the monotonic clock.
    entries: VecDeque<u64>,
}

/// `POST {"gate":"north-in-1","rider":"0b9c…","medium":"face"}`
#[derive(Debug, Serialize)]
struct Asked<'a> {
    gate: &'a str,
    rider: String,
    medium: &'static str,
}

/// `{"admit":true}`, or `{"admit":false,"reason":"38.4 °C"}`.
#[derive(Debug, Deserialize)]
struct Answer {
    admit: bool,
    #[serde(default)]
    reason: String,
}

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4096;
/// Longest reason that is shown.
const REASON_CHARS_MAX: usize = 120;
const MINUTE_MS: u64 = 60_000;

/// Why a client for the policy cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error(transparent)]
    Ca(#[from] IdentityError),
    #[error("no client for the admission policy: {0}")]
    Client(#[from] reqwest::Error),
}

impl Admission {
    pub fn new(gate: GateId, config: &AdmissionConfig) -> Result<Self, AdmissionError> {
        let remote = match &config.policy {
            None => None,
            Some(policy) => {
                let builder = match &policy.ca {
                    Some(ca) => http::client_without_identity(ca)?,
                    None => http::public_client(),
                };
                Some((builder.timeout(policy.answer_within).build()?, policy.clone()))
            }
        };
        Ok(Self { gate, per_minute_max: config.per_minute_max, remote, entries: VecDeque::new() })
    }

    /// The reason for the attendant if he may not come in. Takes no longer than the policy's bounded wait.
    pub async fn ask(&mut self, rider: RiderId, way: Direction, medium: Medium, now_ms: u64) -> Result<(), String> {
        if way == Direction::Exit {
            return Ok(());
        }
        while self.entries.front().is_some_and(|at| now_ms.saturating_sub(*at) >= MINUTE_MS) {
            self.entries.pop_front();
        }
        if let Some(most) = self.per_minute_max
            && self.entries.len() >= usize::try_from(most).unwrap_or(usize::MAX)
        {
            return Err(format!("crowd limit: {most} have entered here within a minute"));
        }
        if let Some((client, policy)) = &self.remote {
            judge(ask(client, policy, &self.gate, rider, medium).await, policy.otherwise)?;
        }
        if self.per_minute_max.is_some() {
            self.entries.push_back(now_ms);
        }
        Ok(())
    }
}

async fn ask(
    client: &reqwest::Client,
    policy: &RemotePolicy,
    gate: &GateId,
    rider: RiderId,
    medium: Medium,
) -> Result<Answer, String> {
    let asked = Asked { gate: gate.as_str(), rider: rider.to_string(), medium: medium.name() };
    let whole = async {
        let call = client.post(policy.url.clone()).json(&asked).send().await;
        let mut response =
            call.and_then(reqwest::Response::error_for_status).map_err(|e| e.without_url().to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| e.without_url().to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err("its answer is too long".to_owned());
            }
        }
        serde_json::from_slice(&body).map_err(|error| format!("its answer makes no sense: {error}"))
    };
    let late = |_| format!("it said nothing within {} ms", policy.answer_within.as_millis());
    tokio::time::timeout(policy.answer_within, whole).await.map_err(late)?
}

fn judge(answer: Result<Answer, String>, otherwise: Otherwise) -> Result<(), String> {
    match (answer, otherwise) {
        (Ok(Answer { admit: true, .. }), _) => Ok(()),
        (Ok(Answer { reason, .. }), _) => {
            let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
            Err(if reason.is_empty() { "the admission policy says no".to_owned() } else { reason })
        }
        (Err(problem), Otherwise::Admit) => {
            tracing::warn!(problem, "the admission policy did not decide: admitted, as configured");
            Ok(())
        }
        (Err(problem), Otherwise::Refuse) => Err(format!("the admission policy did not decide: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A policy that answers so, after so long.
    async fn policy(answer: &'static str, after: Duration, otherwise: Otherwise) -> Admission {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/admit", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 2048];
                let _ = stream.read(&mut asked).await;
                tokio::time::sleep(after).await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
                let _ = stream.write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).await;
            }
        });
        let remote = RemotePolicy { url, ca: None, answer_within: Duration::from_millis(400), otherwise };
        let config = AdmissionConfig { per_minute_max: None, policy: Some(remote) };
        Admission::new(GateId::new("north-in").unwrap(), &config).unwrap()
    }

    async fn asked(admission: &mut Admission, way: Direction) -> Result<(), String> {
        admission.ask(RiderId::random(), way, Medium::Face, 0).await
    }

    #[tokio::test]
    async fn a_policy_admits_refuses_or_leaves_it_to_the_default_within_its_time() {
        let no = r#"{"admit":false,"reason":"38.4 degrees"}"#;
        let (now, late) = (Duration::ZERO, Duration::from_secs(5));
        let table = [
            (r#"{"admit":true}"#, now, Otherwise::Refuse, None),
            (no, now, Otherwise::Admit, Some("38.4 degrees")),
            (r#"{"admit":false}"#, now, Otherwise::Admit, Some("the admission policy says no")),
            (no, late, Otherwise::Admit, None),
            (no, late, Otherwise::Refuse, Some("did not decide")),
            ("<html>", now, Otherwise::Refuse, Some("makes no sense")),
            ("<html>", now, Otherwise::Admit, None),
        ];
        for (answer, after, otherwise, refused) in table {
            let mut admission = policy(answer, after, otherwise).await;
            let began = facegate_runtime::clock::Stopwatch::start();
            let said = asked(&mut admission, Direction::Entry).await;
            assert!(began.elapsed() < Duration::from_secs(3), "{answer}");
            match refused {
                None => assert_eq!(said, Ok(()), "{answer} {otherwise:?}"),
                Some(reason) => assert!(said.unwrap_err().contains(reason), "{answer} {otherwise:?}"),
            }
            assert_eq!(asked(&mut admission, Direction::Exit).await, Ok(()), "nobody is kept in");
        }
    }

    #[tokio::test]
    async fn a_crowd_limit_holds_for_a_minute() {
        let config = AdmissionConfig { per_minute_max: Some(2), policy: None };
        let mut admission = Admission::new(GateId::new("north-in").unwrap(), &config).unwrap();
        let mut enter =
            async |at_ms| admission.ask(RiderId::random(), Direction::Entry, Medium::Code, at_ms).await.is_ok();
        let said = [enter(0).await, enter(1_000).await, enter(59_000).await, enter(60_000).await, enter(60_500).await];
        assert_eq!(said, [true, true, false, true, false]);
    }
}
