//! What the sandbox acquirer has answered: a pure fold over the lines of its journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was asked for under a key. The same key with another one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationRequest {
    pub token: String,
    pub amount_minor: i64,
    pub currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRequest {
    pub amount_minor: i64,
    pub currency: String,
}

/// Where a charge stands, in the words of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Authorised,
    Captured,
    Voided,
    Declined,
}

/// Everything under one authorisation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub authorisation: String,
    pub request: AuthorisationRequest,
    pub status: Status,
    pub reason: Option<String>,
    /// The key under which it was captured or its capture declined.
    pub capture_key: Option<String>,
    pub captured_at_ms: Option<i64>,
}

/// One line of the journal: something that was done, before it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Line {
    Authorised { key: String, authorisation: String, request: AuthorisationRequest, at_ms: i64 },
    Declined { key: String, authorisation: String, request: AuthorisationRequest, reason: String, at_ms: i64 },
    Captured { key: String, authorisation: String, at_ms: i64 },
    CaptureDeclined { key: String, authorisation: String, reason: String, at_ms: i64 },
    Voided { key: String, authorisation: String, at_ms: i64 },
}

impl Line {
    pub fn authorisation(&self) -> &str {
        match self {
            Self::Authorised { authorisation, .. }
            | Self::Declined { authorisation, .. }
            | Self::Captured { authorisation, .. }
            | Self::CaptureDeclined { authorisation, .. }
            | Self::Voided { authorisation, .. } => authorisation,
        }
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the key was used for another request: every charge needs a key of its own")]
    KeyReused,
    #[error("there is no authorisation {0}")]
    UnknownAuthorisation(String),
    #[error("the authorisation is {0:?} already, under another key")]
    AlreadyDone(Status),
    #[error("the amount is not what was authorised")]
    AmountDiffers,
    #[error("the amount must be at least 1")]
    AmountTooSmall,
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Write this line, then apply it and answer.
    Do(Line),
    /// It was done before: answer as then.
    DoneBefore { authorisation: String },
}

#[derive(Debug, Default)]
pub struct Book {
    charges: BTreeMap<String, Charge>,
    by_key: BTreeMap<String, String>,
}

impl Book {
    /// `fresh` is the id that a new authorisation gets.
    pub fn authorise(
        &self,
        key: &str,
        request: AuthorisationRequest,
        fresh: String,
        at_ms: i64,
    ) -> Result<Verdict, Refusal> {
        if let Some(charge) = self.find(key) {
            let done_before = Verdict::DoneBefore { authorisation: charge.authorisation.clone() };
            return if charge.request == request { Ok(done_before) } else { Err(Refusal::KeyReused) };
        }
        if request.amount_minor < 1 {
            return Err(Refusal::AmountTooSmall);
        }
        let (key, authorisation) = (key.to_owned(), fresh);
        let approved = request.token.starts_with("tok_ok_") || request.token.starts_with("tok_lapses_");
        Ok(Verdict::Do(if approved {
            Line::Authorised { key, authorisation, request, at_ms }
        } else {
            let known = request.token.starts_with("tok_declined_");
            let reason = if known { "do_not_honour" } else { "unknown_token" }.to_owned();
            Line::Declined { key, authorisation, request, reason, at_ms }
        }))
    }

    pub fn capture(&self, id: &str, key: &str, request: &CaptureRequest, at_ms: i64) -> Result<Verdict, Refusal> {
        let charge = self.charge(id).ok_or_else(|| Refusal::UnknownAuthorisation(id.to_owned()))?;
        let asked = &charge.request;
        if (request.amount_minor, &request.currency) != (asked.amount_minor, &asked.currency) {
            return Err(Refusal::AmountDiffers);
        }
        if charge.capture_key.as_deref() == Some(key) {
            return Ok(Verdict::DoneBefore { authorisation: id.to_owned() });
        }
        if charge.status != Status::Authorised {
            return Err(Refusal::AlreadyDone(charge.status));
        }
        let (key, authorisation) = (key.to_owned(), id.to_owned());
        Ok(Verdict::Do(if asked.token.starts_with("tok_lapses_") {
            Line::CaptureDeclined { key, authorisation, reason: "authorisation_lapsed".to_owned(), at_ms }
        } else {
            Line::Captured { key, authorisation, at_ms }
        }))
    }

    pub fn void(&self, id: &str, key: &str, at_ms: i64) -> Result<Verdict, Refusal> {
        let charge = self.charge(id).ok_or_else(|| Refusal::UnknownAuthorisation(id.to_owned()))?;
        match charge.status {
            Status::Authorised => {
                Ok(Verdict::Do(Line::Voided { key: key.to_owned(), authorisation: id.to_owned(), at_ms }))
            }
            Status::Voided => Ok(Verdict::DoneBefore { authorisation: id.to_owned() }),
            status => Err(Refusal::AlreadyDone(status)),
        }
    }

    pub fn apply(&mut self, line: &Line) {
        match line.clone() {
            Line::Authorised { key, authorisation, request, .. } => {
                self.open(key, authorisation, request, Status::Authorised, None);
            }
            Line::Declined { key, authorisation, request, reason, .. } => {
                self.open(key, authorisation, request, Status::Declined, Some(reason));
            }
            Line::Captured { key, authorisation, at_ms } => self.change(&authorisation, |charge| {
                charge.status = Status::Captured;
                charge.capture_key = Some(key);
                charge.captured_at_ms = Some(at_ms);
            }),
            Line::CaptureDeclined { key, authorisation, reason, .. } => self.change(&authorisation, |charge| {
                charge.status = Status::Declined;
                charge.capture_key = Some(key);
                charge.reason = Some(reason);
            }),
            Line::Voided { authorisation, .. } => {
                self.change(&authorisation, |charge| charge.status = Status::Voided);
            }
        }
    }

    pub fn find(&self, key: &str) -> Option<&Charge> {
        self.charge(self.by_key.get(key)?)
    }

    pub fn charge(&self, authorisation: &str) -> Option<&Charge> {
        self.charges.get(authorisation)
    }

    /// The key of each captured charge with the charge.
    pub fn captured(&self) -> impl Iterator<Item = (&str, &Charge)> {
        self.by_key
            .iter()
            .filter_map(|(key, id)| Some((key.as_str(), self.charges.get(id)?)))
            .filter(|(_, charge)| charge.status == Status::Captured)
    }

    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        for (key, charge) in self.by_key.iter().filter_map(|(key, id)| Some((key, self.charges.get(id)?))) {
            let captures = u64::from(charge.status == Status::Captured);
            let authorised = charge.status != Status::Declined || charge.capture_key.is_some();
            let amount_minor = charge.request.amount_minor;
            let of_token = statistics.tokens.entry(charge.request.token.clone()).or_default();
            of_token.authorisations += u64::from(authorised);
            of_token.captures += captures;
            of_token.captured_minor += if captures > 0 { amount_minor } else { 0 };
            statistics.charges.push(ByKey {
                key: key.clone(),
                amount_minor,
                currency: charge.request.currency.clone(),
                status: charge.status,
                authorisations: u64::from(authorised),
                captures,
            });
        }
        statistics
    }

    fn open(
        &mut self,
        key: String,
        authorisation: String,
        request: AuthorisationRequest,
        status: Status,
        reason: Option<String>,
    ) {
        self.by_key.insert(key, authorisation.clone());
        let (capture_key, captured_at_ms) = (None, None);
        let charge =
            Charge { authorisation: authorisation.clone(), request, status, reason, capture_key, captured_at_ms };
        self.charges.insert(authorisation, charge);
    }

    fn change(&mut self, authorisation: &str, change: impl FnOnce(&mut Charge)) {
        if let Some(charge) = self.charges.get_mut(authorisation) {
            change(charge);
        }
    }
}

/// The acquirer's own counts, for tests that trust nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub charges: Vec<ByKey>,
    /// Somebody charged twice under two keys shows here, against the rides that he was seen to make.
    pub tokens: BTreeMap<String, ByToken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByKey {
    pub key: String,
    pub amount_minor: i64,
    pub currency: String,
    pub status: Status,
    pub authorisations: u64,
    pub captures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ByToken {
    pub authorisations: u64,
    pub captures: u64,
    pub captured_minor: i64,
}

#[cfg(test)]
mod tests;
