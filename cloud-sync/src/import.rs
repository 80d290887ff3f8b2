//! Riders of another system, many at a time, each with his consent and his template.
//!
//! One line of JSON for each rider. Importing the same file again adds nobody twice, so an import that was cut short is
//! simply begun again. It does not look for one person enrolled twice: the system he comes from has.

use std::io::BufRead;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use facegate_domain::Clock;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use serde::Deserialize;

use crate::store::{Consent, Imported, Profile, Purpose, Store};

/// Riders in one transaction.
const PAGE: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    rider: String,
    template: String,
    display_name: String,
    consent: LineConsent,
    model: String,
    embedding: String,
    photographs: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineConsent {
    text_version: String,
    channel: String,
    given_at_unix_ms: i64,
}

impl Line {
    fn check(self) -> Result<Imported> {
        let rider: RiderId = self.rider.parse()?;
        let bytes = STANDARD.decode(&self.embedding).context("the embedding is not base64")?;
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let embedding = Embedding::from_unit(ModelId::new(self.model)?, values.collect())?;
        Ok(Imported {
            rider,
            profile: Profile { display_name: self.display_name },
            consent: Consent {
                purpose: Purpose::Recognition,
                text_version: self.consent.text_version,
                channel: self.consent.channel,
                given_at: facegate_domain::Timestamp::from_unix_ms(self.consent.given_at_unix_ms),
            },
            template: Template {
                id: self.template.parse::<TemplateId>()?,
                rider,
                embedding,
                photographs: self.photographs,
            },
        })
    }
}

/// What an import came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub lines: u64,
    /// Riders that were not known before.
    pub new: u64,
}

/// Reads line by line and stores page by page. An error names the line; what stands in pages before it is stored.
pub async fn run(store: &dyn Store, clock: &dyn Clock, lines: impl BufRead) -> Result<Summary> {
    store.audit("operator/local", "riders.import", "begun", clock.now()).await?;
    let mut summary = Summary::default();
    let mut page = Vec::with_capacity(PAGE);
    for line in lines.lines() {
        summary.lines += 1;
        let number = summary.lines;
        let at = || format!("line {number}");
        let line: Line = serde_json::from_str(&line.with_context(at)?).with_context(at)?;
        page.push(line.check().with_context(at)?);
        if page.len() == PAGE {
            summary.new += store.import(std::mem::take(&mut page), clock.now()).await?;
        }
    }
    summary.new += store.import(page, clock.now()).await?;
    store.audit("operator/local", "riders.import", &format!("{} new riders", summary.new), clock.now()).await?;
    Ok(summary)
}
