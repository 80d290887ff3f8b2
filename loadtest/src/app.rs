//! The metro app: what an integrator does through the REST enrolment API, with its API key.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A client of one cloud.
#[derive(Debug, Clone)]
pub struct MetroApp {
    base: String,
    api_key: String,
    client: reqwest::Client,
}

/// What a trip is charged to.
#[derive(Debug, Clone)]
pub enum Account {
    Wallet { top_up_minor: i64 },
    Acquirer { token: String },
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet { .. } => f.write_str("pays from a wallet"),
            Self::Acquirer { .. } => f.write_str("pays by a card token of the acquirer"),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Trip {
    pub journey_id: String,
    /// None of a broken ride whose beginning or end nobody saw.
    pub entry_station: Option<String>,
    pub exit_station: Option<String>,
    pub entry_medium: Option<String>,
    pub exit_medium: Option<String>,
    /// None while the price is held.
    pub fare: Option<Fare>,
    pub charge_state: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Fare {
    pub currency: String,
    pub total_minor: i64,
    pub lines: Vec<FareLine>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct FareLine {
    pub rule: String,
    pub quantity: String,
    pub amount_minor: i64,
}

impl MetroApp {
    /// `base` is `https://host:port`; `ca` the operator's CA certificate.
    pub fn new(base: &str, api_key: &str, ca: &Path) -> Result<Self> {
        let client = facegate_runtime::http::client_without_identity(ca)?.build()?;
        Ok(Self { base: base.to_owned(), api_key: api_key.to_owned(), client })
    }

    pub async fn create_rider(&self, display_name: &str) -> Result<String> {
        let created: Value = self.call(Method::POST, "/v1/riders", json!({ "display_name": display_name })).await?;
        Ok(created["rider_id"].as_str().context("the answer names no rider_id")?.to_owned())
    }

    pub async fn consent(&self, rider: &str) -> Result<()> {
        let consent = json!({ "purpose": "recognition", "text_version": "2026-11", "channel": "app" });
        let _: Value = self.call(Method::POST, &format!("/v1/riders/{rider}/consents"), consent).await?;
        Ok(())
    }

    pub async fn enrol_face(&self, rider: &str, jpeg: &[u8]) -> Result<()> {
        let request = self
            .request(Method::POST, &format!("/v1/riders/{rider}/faces"))
            .header("content-type", "image/jpeg")
            .body(jpeg.to_vec());
        checked(request.send().await?).await?;
        Ok(())
    }

    pub async fn bind_account(&self, rider: &str, account: &Account) -> Result<()> {
        let body = match account {
            Account::Wallet { top_up_minor } => {
                json!({ "kind": "wallet", "top_up_minor": top_up_minor, "top_up_reference": "first" })
            }
            Account::Acquirer { token } => json!({ "kind": "acquirer", "token": token }),
        };
        let request = self.request(Method::PUT, &format!("/v1/riders/{rider}/account")).json(&body);
        checked(request.send().await?).await?;
        Ok(())
    }

    /// Sets and gives a random password for the rider's page.
    pub async fn set_page_password(&self, rider: &str) -> Result<String> {
        let password = random_password();
        let body = json!({ "password": password });
        checked(self.request(Method::PUT, &format!("/v1/riders/{rider}/page-password")).json(&body).send().await?)
            .await?;
        Ok(password)
    }

    /// Has the phone's public key certified; gives the certificate.
    pub async fn certify_phone(&self, rider: &str, phone_key: &[u8; 32]) -> Result<Vec<u8>> {
        use base64::Engine;
        let base64 = base64::engine::general_purpose::STANDARD;
        let body = json!({ "phone_key": base64.encode(phone_key) });
        let answer: Value = self.call(Method::POST, &format!("/v1/riders/{rider}/code-certificates"), body).await?;
        Ok(base64.decode(answer["certificate"].as_str().context("the answer holds no certificate")?)?)
    }

    /// Has the rider forgotten.
    pub async fn erase(&self, rider: &str) -> Result<()> {
        checked(self.request(Method::DELETE, &format!("/v1/riders/{rider}")).send().await?).await.map(drop)
    }

    pub async fn trips(&self, rider: &str) -> Result<Vec<Trip>> {
        #[derive(Deserialize)]
        struct Trips {
            trips: Vec<Trip>,
        }
        let response = self.request(Method::GET, &format!("/v1/riders/{rider}/trips")).send().await?;
        Ok(checked(response).await?.json::<Trips>().await?.trips)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.api_key)
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Value) -> Result<T> {
        let response = self.request(method, path).json(&body).send().await?;
        Ok(checked(response).await?.json().await?)
    }
}

impl Trip {
    /// The receipt as text, each line with the rule that priced it.
    pub fn receipt(&self, payer: &str) -> String {
        let end = |station: &Option<String>, medium: &Option<String>| match (station, medium) {
            (Some(station), Some(medium)) => format!("{station} ({medium})"),
            _ => "not seen".to_owned(),
        };
        let (from, to) = (end(&self.entry_station, &self.entry_medium), end(&self.exit_station, &self.exit_medium));
        let mut text = format!("  ┌ {payer}: {from} → {to}\n");
        let Some(fare) = &self.fare else {
            return text + &format!("  └ the price is held, {}", self.charge_state);
        };
        for line in &fare.lines {
            let amount = in_major_units(line.amount_minor, &fare.currency);
            text += &format!("  │ {:<44} {:>16} {amount:>12}\n", line.rule, line.quantity);
        }
        text + &format!("  └ {}, {}", in_major_units(fare.total_minor, &fare.currency), self.charge_state)
    }
}

/// For currencies with hundredths, as the demo's has.
fn in_major_units(minor: i64, currency: &str) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02} {currency}", minor.abs() / 100, minor.abs() % 100)
}

/// A response that is no error, or the problem's own words.
async fn checked(response: Response) -> Result<Response> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, url) = (response.status(), response.url().path().to_owned());
    let problem: Value = response.json().await.unwrap_or_default();
    bail!("{url}: {status} {} {}", problem["code"].as_str().unwrap_or(""), problem["detail"].as_str().unwrap_or(""))
}

/// 16 random letters and digits, without those that look alike.
pub fn random_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    (0..16).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect()
}
