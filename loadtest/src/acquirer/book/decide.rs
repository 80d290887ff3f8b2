//! What the sandbox acquirer does about a request, by the token's name and by chance.

use super::{AmountRequest, AuthorisationRequest, Book, Charge, Line, Status};

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the key was used for another request: every charge and every refund needs a key of its own")]
    KeyReused,
    #[error("there is no authorisation {0}")]
    UnknownAuthorisation(String),
    #[error("the authorisation is {0:?} already, under another key")]
    AlreadyDone(Status),
    #[error("only what was captured can be refunded; the charge is {0:?}")]
    NotCaptured(Status),
    #[error("the amount is more than was authorised, or in another currency")]
    AmountDiffers,
    #[error("the refund is more than is left of the captured {captured_minor}: {refunded_minor} were refunded before")]
    RefundTooLarge { captured_minor: i64, refunded_minor: i64 },
    #[error("the amount must be at least 1")]
    AmountTooSmall,
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Write these lines, then apply them and answer.
    Do(Vec<Line>),
    /// It was done before: answer as then.
    DoneBefore { authorisation: String },
}

/// What chance says about an authorisation that would be approved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chances {
    pub declined_softly: bool,
    pub declined_hard: bool,
}

/// Why not, and whether it may be tried again on another day.
type Decline = (&'static str, bool);

impl Book {
    /// `fresh` is the id that a new authorisation gets.
    pub fn authorise(
        &self,
        key: &str,
        request: AuthorisationRequest,
        fresh: String,
        chances: Chances,
        at_ms: i64,
    ) -> Result<Verdict, Refusal> {
        if let Some(charge) = self.find(key) {
            let done_before = Verdict::DoneBefore { authorisation: charge.authorisation.clone() };
            return if charge.request == request { Ok(done_before) } else { Err(Refusal::KeyReused) };
        }
        if self.refunds.contains_key(key) {
            return Err(Refusal::KeyReused);
        }
        if request.amount_minor < 1 {
            return Err(Refusal::AmountTooSmall);
        }
        let (key, authorisation) = (key.to_owned(), fresh);
        Ok(Verdict::Do(vec![match self.declines(&request.token, chances) {
            None => Line::Authorised { key, authorisation, request, at_ms },
            Some((reason, again)) => {
                Line::Declined { key, authorisation, request, reason: reason.to_owned(), again, at_ms }
            }
        }]))
    }

    fn declines(&self, token: &str, chances: Chances) -> Option<Decline> {
        if token.starts_with("tok_declined_hard_") {
            return Some(("stolen_card", false));
        }
        if token.starts_with("tok_declined_") {
            return Some(("do_not_honour", true));
        }
        if let Some(rest) = token.strip_prefix("tok_poor_") {
            let times = rest.split('_').next().and_then(|times| times.parse().ok()).unwrap_or(1);
            let before = self.declined.get(token).copied().unwrap_or(0);
            return (before < times).then_some(("insufficient_funds", true));
        }
        let known = ["tok_ok_", "tok_lapses_", "tok_slow_"].iter().any(|kind| token.starts_with(kind));
        match chances {
            _ if !known => Some(("unknown_token", false)),
            Chances { declined_hard: true, .. } => Some(("stolen_card", false)),
            Chances { declined_softly: true, .. } => Some(("insufficient_funds", true)),
            Chances { .. } => None,
        }
    }

    pub fn capture(&self, id: &str, key: &str, request: &AmountRequest, at_ms: i64) -> Result<Verdict, Refusal> {
        let charge = self.known(id)?;
        let asked = &charge.request;
        if let Some((_, amount_minor)) = charge.capture.as_ref().filter(|(before, _)| before == key) {
            let same = (*amount_minor, &asked.currency) == (request.amount_minor, &request.currency);
            let done_before = Verdict::DoneBefore { authorisation: id.to_owned() };
            return if same { Ok(done_before) } else { Err(Refusal::KeyReused) };
        }
        if request.currency != asked.currency || request.amount_minor > asked.amount_minor {
            return Err(Refusal::AmountDiffers);
        }
        if request.amount_minor < 1 {
            return Err(Refusal::AmountTooSmall);
        }
        if charge.status != Status::Authorised {
            return Err(Refusal::AlreadyDone(charge.status));
        }
        let (key, authorisation, amount_minor) = (key.to_owned(), id.to_owned(), request.amount_minor);
        if asked.token.starts_with("tok_slow_") {
            return Ok(Verdict::Do(vec![Line::CaptureTaken { key, authorisation, amount_minor, at_ms }]));
        }
        if asked.token.starts_with("tok_lapses_") {
            let reason = "authorisation_lapsed".to_owned();
            let line = Line::CaptureDeclined { key, authorisation, amount_minor, reason, again: true, at_ms };
            return Ok(Verdict::Do(vec![line]));
        }
        Ok(Verdict::Do(captured(charge, key, amount_minor, at_ms)))
    }

    /// What becomes of the captures that were taken on before `taken_before_ms`.
    pub fn settle(&self, taken_before_ms: i64, at_ms: i64) -> Vec<Line> {
        let pending = self.pending.keys().filter_map(|id| self.charge(id));
        let due = pending.filter(|charge| charge.capture_at_ms <= taken_before_ms);
        due.flat_map(|charge| {
            let Some((key, amount_minor)) = charge.capture.clone() else { return Vec::new() };
            if charge.request.token.starts_with("tok_slow_returned_") {
                let (authorisation, reason) = (charge.authorisation.clone(), "returned".to_owned());
                return vec![Line::CaptureDeclined { key, authorisation, amount_minor, reason, again: true, at_ms }];
            }
            captured(charge, key, amount_minor, at_ms)
        })
        .collect()
    }

    pub fn void(&self, id: &str, key: &str, at_ms: i64) -> Result<Verdict, Refusal> {
        match self.known(id)?.status {
            Status::Authorised => {
                Ok(Verdict::Do(vec![Line::Voided { key: key.to_owned(), authorisation: id.to_owned(), at_ms }]))
            }
            Status::Voided => Ok(Verdict::DoneBefore { authorisation: id.to_owned() }),
            status => Err(Refusal::AlreadyDone(status)),
        }
    }

    /// `fresh` is the id that a new refund gets.
    pub fn refund(
        &self,
        id: &str,
        key: &str,
        request: &AmountRequest,
        fresh: String,
        at_ms: i64,
    ) -> Result<Verdict, Refusal> {
        let charge = self.known(id)?;
        if let Some((of, refund)) = self.find_refund(key) {
            let same = of.authorisation == id
                && (refund.amount_minor, &of.request.currency) == (request.amount_minor, &request.currency);
            let done_before = Verdict::DoneBefore { authorisation: id.to_owned() };
            return if same { Ok(done_before) } else { Err(Refusal::KeyReused) };
        }
        if self.by_key.contains_key(key) {
            return Err(Refusal::KeyReused);
        }
        if charge.status != Status::Captured {
            return Err(Refusal::NotCaptured(charge.status));
        }
        if request.amount_minor < 1 {
            return Err(Refusal::AmountTooSmall);
        }
        if request.currency != charge.request.currency {
            return Err(Refusal::AmountDiffers);
        }
        let (captured_minor, refunded_minor) = (charge.captured_minor, charge.refunded_minor());
        if request.amount_minor > captured_minor - refunded_minor {
            return Err(Refusal::RefundTooLarge { captured_minor, refunded_minor });
        }
        let (key, authorisation, refund) = (key.to_owned(), id.to_owned(), fresh);
        let amount_minor = request.amount_minor;
        Ok(Verdict::Do(vec![if charge.request.token.starts_with("tok_ok_norefund_") {
            let reason = "account_closed".to_owned();
            Line::RefundDeclined { key, authorisation, refund, amount_minor, reason, at_ms }
        } else {
            Line::Refunded { key, authorisation, refund, amount_minor, at_ms }
        }]))
    }

    fn known(&self, id: &str) -> Result<&Charge, Refusal> {
        self.charge(id).ok_or_else(|| Refusal::UnknownAuthorisation(id.to_owned()))
    }
}

/// The capture, and what some tokens' holders do about it afterwards.
fn captured(charge: &Charge, key: String, amount_minor: i64, at_ms: i64) -> Vec<Line> {
    let authorisation = || charge.authorisation.clone();
    let mut lines = vec![Line::Captured { key, authorisation: authorisation(), amount_minor, at_ms }];
    let token = &charge.request.token;
    if token.starts_with("tok_ok_disputes_") || token.starts_with("tok_ok_loses_") {
        lines.push(Line::Disputed { authorisation: authorisation(), at_ms });
    }
    if token.starts_with("tok_ok_loses_") {
        lines.push(Line::DisputeReversed { authorisation: authorisation(), at_ms });
    }
    lines
}
