//! The rider's page: trips, receipts and what is on record, for the one rider who is signed in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use facegate_domain::charge::Instrument;
use facegate_domain::fares::Tariff;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account as LedgerAccount;
use serde::{Deserialize, Serialize};

use super::Account;
use super::Pages;
use super::assets::ME_HTML;
use super::mask::masked;
use super::problem::Problem;
use super::sign_in::SignedInRider;
use crate::api::rest::{Moment, OwingView, RefundView, TripView, WalletView};
use crate::enrolment::Actor;
use crate::store::{Consent, StoreError};
use crate::terms;

#[derive(Debug, Serialize)]
pub struct MeView {
    /// Masked.
    rider: String,
    display_name: String,
    face_enrolled: bool,
    consents: Vec<ConsentLine>,
    account: Option<AccountLine>,
    /// None for who pays otherwise.
    wallet: Option<WalletView>,
    owing: OwingView,
    trips: Vec<TripView>,
    /// Where a trip may have begun or ended of which nobody saw it.
    stations: Vec<StationLine>,
    /// The latest first; none that were rejected.
    refunds: Vec<RefundView>,
}

#[derive(Debug, Serialize)]
pub struct StationLine {
    id: String,
    name: String,
}

/// What the rider's own page sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingEnd {
    station: String,
}

/// The rider tells where a trip of his began or ended; nobody saw it.
pub async fn tell_missing_end(
    State(pages): State<Pages>,
    SignedInRider(rider): SignedInRider,
    Path(journey): Path<String>,
    Json(told): Json<MissingEnd>,
) -> Result<StatusCode, Problem> {
    let journey = journey.parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_id", "This is no trip's id.", "Reload the page and try again.")
    })?;
    let who = Actor::new("rider", &rider.to_string());
    terms::repair(&pages.cloud, &who, rider, journey, &told.station).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// By their names, which a person looks for.
pub fn stations(tariff: &Tariff) -> Vec<StationLine> {
    let Some(table) = tariff.tables().last() else { return Vec::new() };
    let line = |id| StationLine { id: ToString::to_string(id), name: table.station_name(id).to_owned() };
    let mut stations: Vec<StationLine> = table.stations().map(line).collect();
    stations.sort_by(|a, b| a.name.cmp(&b.name));
    stations
}

#[derive(Debug, Serialize)]
struct ConsentLine {
    purpose: &'static str,
    text_version: String,
    channel: String,
    given_at: Moment,
}

#[derive(Debug, Serialize)]
struct AccountLine {
    /// "wallet" or "acquirer".
    kind: &'static str,
    /// What is left in the wallet.
    balance: Option<AmountLine>,
}

#[derive(Debug, Serialize)]
struct AmountLine {
    amount_minor: i64,
    currency: String,
}

pub async fn page(_who: SignedInRider) -> Html<&'static str> {
    Html(ME_HTML)
}

/// What the page shows.
pub async fn overview(
    State(pages): State<Pages>,
    SignedInRider(rider): SignedInRider,
) -> Result<Json<MeView>, Problem> {
    let store = &pages.cloud.store;
    let known = store.rider(rider).await?.filter(|rider| rider.erasure.is_none());
    let (Some(known), Some(profile)) = (known, store.profile(rider).await?) else {
        // Erased while signed in: there is nothing left to show, and nobody to show it to.
        pages.sessions.end_all(&Account::Rider(rider));
        let detail = "This rider is no longer on record.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", detail, "There is nothing left to do."));
    };
    let (tariff, now) = (terms::tariff(&pages.cloud).await?, pages.cloud.clock.now());
    Ok(Json(MeView {
        rider: masked(rider),
        display_name: profile.display_name,
        face_enrolled: known.face.is_some(),
        consents: known.consents.into_iter().map(ConsentLine::from).collect(),
        account: account(&pages, rider).await?,
        wallet: wallet(&pages, rider).await?,
        owing: (&pages.cloud.enrolment.owing(rider).await?).into(),
        trips: store.trips(rider).await?.iter().map(|trip| TripView::of(trip, &tariff, now)).collect(),
        stations: stations(&tariff),
        refunds: store.remedies_of(rider).await?.iter().filter(|r| r.counts()).map(RefundView::from).collect(),
    }))
}

/// Has what the rider owes tried at once, because he asks for it.
pub async fn pay(State(pages): State<Pages>, SignedInRider(rider): SignedInRider) -> Result<Redirect, Problem> {
    pages.cloud.enrolment.pay_debts(&Actor::new("rider", &rider.to_string()), rider).await?;
    Ok(Redirect::to("/me"))
}

async fn wallet(pages: &Pages, rider: RiderId) -> Result<Option<WalletView>, Problem> {
    let instruments = pages.cloud.store.instruments(rider).await?;
    if !instruments.iter().any(|bound| bound.instrument == Instrument::Wallet) {
        return Ok(None);
    }
    Ok(Some(WalletView::of(rider, &pages.cloud.enrolment.wallet(rider).await?)))
}

async fn account(pages: &Pages, rider: RiderId) -> Result<Option<AccountLine>, StoreError> {
    let Some(instrument) = pages.cloud.store.account(rider).await? else { return Ok(None) };
    let balance = match instrument {
        Instrument::Acquirer { .. } => None,
        Instrument::Wallet => {
            // What is in a wallet is owed to its rider, which the ledger writes as a negative balance.
            let currency = pages.cloud.config.enrolment.currency;
            let owed = pages.cloud.store.balance(LedgerAccount::Wallet(rider), currency).await?;
            Some(AmountLine { amount_minor: owed.minor().saturating_neg(), currency: currency.to_string() })
        }
    };
    Ok(Some(AccountLine { kind: instrument.name(), balance }))
}

impl From<Consent> for ConsentLine {
    fn from(consent: Consent) -> Self {
        Self {
            purpose: consent.purpose.name(),
            text_version: consent.text_version,
            channel: consent.channel,
            given_at: Moment(consent.given_at),
        }
    }
}
