//! What a rider pays with, in which order and within which limits; his wallet; what he owes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::charge::{Bound, Channel, Charge, Instrument, InstrumentId, Instruments};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Input};
use super::moment::Moment;
use super::riders::NewAccount;
use crate::enrolment::{NewLimits, Owing, WalletStatement};
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInstrument {
    account: NewAccount,
    #[serde(default)]
    limits: LimitsView,
}

/// What an instrument may be used for. None: as much as the acquirer allows.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsView {
    /// Of one charge, in minor units.
    #[schema(minimum = 1)]
    amount_max_minor: Option<i64>,
    /// Of the charges of one travel day together.
    #[schema(minimum = 1)]
    day_amount_max_minor: Option<i64>,
    /// Charges of one travel day.
    #[schema(minimum = 1)]
    day_count_max: Option<u32>,
    /// "rides" or "pay_now": the only channel it may be used in.
    only: Option<String>,
    /// The last month in which it is good, as on a card.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$", examples("2027-04"))]
    good_through: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentView {
    #[schema(format = Uuid)]
    instrument_id: String,
    /// "wallet" or "acquirer".
    kind: &'static str,
    /// Whose token it is; the token itself is not told.
    acquirer: Option<String>,
    limits: LimitsView,
    expires_at: Option<Moment>,
}

/// The instruments, the one that is asked first first.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentList {
    instruments: Vec<InstrumentView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstrumentOrder {
    /// Each of the rider's instruments once.
    #[schema(value_type = Vec<uuid::Uuid>)]
    instruments: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMovement {
    /// In minor units of the fare table's currency.
    #[schema(minimum = 1, maximum = 1_000_000)]
    amount_minor: i64,
    /// Names it: the same one is booked once, however often it is sent.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    reference: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WalletView {
    currency: String,
    balance_minor: i64,
    /// Set aside for charges that are under way.
    held_minor: i64,
    /// The latest first.
    movements: Vec<MovementView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MovementView {
    number: u64,
    /// The ledger entry without the rider: "top-up/…", "hold/…", "release/…", "withdraw/…", "refund/…".
    entry: String,
    at: Moment,
    /// Positive if it came into the wallet.
    amount_minor: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OwingView {
    currency: String,
    debts: Vec<DebtView>,
    /// To the rider's credit: his next trips use it.
    credit_minor: i64,
    /// Why gates refuse him, if they do: "debt", "instrument", "operator", "risk".
    denied_for: Vec<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DebtView {
    #[schema(format = Uuid)]
    charge_id: String,
    amount_minor: i64,
    /// "debt", or how far the present try has come.
    state: &'static str,
    /// What the last instrument's bank said.
    reason: Option<String>,
    /// When it is tried next without the rider.
    again_at: Option<Moment>,
}

/// The rider's instruments, in the order in which they are asked.
#[utoipa::path(get, path = "/v1/riders/{id}/instruments", tag = "payment", operation_id = "listInstruments",
    params(("id" = uuid::Uuid, Path, description = "Rider")), responses((status = 200, body = InstrumentList)))]
pub async fn list(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<InstrumentList>, Problem> {
    Ok(Json((&rest.cloud.enrolment.instruments(rider).await?).into()))
}

/// Adds an instrument, asked after all others. One that is there already gets these limits.
///
/// What the rider owes is tried with it at once.
#[utoipa::path(post, path = "/v1/riders/{id}/instruments", tag = "payment", operation_id = "addInstrument",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewInstrument,
    responses((status = 201, body = InstrumentList)))]
pub async fn add(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewInstrument>,
) -> Result<(StatusCode, Json<InstrumentList>), Problem> {
    let limits = new.limits.checked()?;
    let list = rest.cloud.enrolment.add_instrument(&app.actor(), rider, new.account.into(), limits).await?;
    Ok((StatusCode::CREATED, Json((&list).into())))
}

/// Removes an instrument. A charge that is under way with it goes on.
#[utoipa::path(delete, path = "/v1/riders/{id}/instruments/{instrument}", tag = "payment",
    operation_id = "removeInstrument",
    params(("id" = uuid::Uuid, Path, description = "Rider"), ("instrument" = uuid::Uuid, Path)),
    responses((status = 200, body = InstrumentList)))]
pub async fn remove(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider, instrument)): Ids<(RiderId, InstrumentId)>,
) -> Result<Json<InstrumentList>, Problem> {
    Ok(Json((&rest.cloud.enrolment.remove_instrument(&app.actor(), rider, instrument).await?).into()))
}

/// Puts the instruments into another order of use.
#[utoipa::path(put, path = "/v1/riders/{id}/instrument-order", tag = "payment", operation_id = "orderInstruments",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = InstrumentOrder,
    responses((status = 200, body = InstrumentList)))]
pub async fn order(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(order): Input<InstrumentOrder>,
) -> Result<Json<InstrumentList>, Problem> {
    let ids: Result<Vec<InstrumentId>, _> = order.instruments.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|_| bad_field("instruments", "must be ids of instruments"))?;
    Ok(Json((&rest.cloud.enrolment.order_instruments(&app.actor(), rider, ids).await?).into()))
}

/// What is in the rider's wallet, and its latest movements.
#[utoipa::path(get, path = "/v1/riders/{id}/wallet", tag = "payment", operation_id = "getWallet",
    params(("id" = uuid::Uuid, Path, description = "Rider")), responses((status = 200, body = WalletView)))]
pub async fn wallet(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<WalletView>, Problem> {
    Ok(Json(WalletView::of(rider, &rest.cloud.enrolment.wallet(rider).await?)))
}

/// Pays into the wallet. What the rider owes is tried with it at once.
#[utoipa::path(post, path = "/v1/riders/{id}/wallet/top-ups", tag = "payment", operation_id = "topUpWallet",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewMovement,
    responses((status = 201, body = WalletView)))]
pub async fn top_up(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewMovement>,
) -> Result<(StatusCode, Json<WalletView>), Problem> {
    let enrolment = &rest.cloud.enrolment;
    let wallet = enrolment.top_up_wallet(&app.actor(), rider, new.amount_minor, &new.reference).await?;
    Ok((StatusCode::CREATED, Json(WalletView::of(rider, &wallet))))
}

/// Pays out of the wallet, not beyond what is in it and not set aside for a charge.
#[utoipa::path(post, path = "/v1/riders/{id}/wallet/withdrawals", tag = "payment", operation_id = "withdrawFromWallet",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewMovement,
    responses((status = 201, body = WalletView)))]
pub async fn withdraw(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewMovement>,
) -> Result<(StatusCode, Json<WalletView>), Problem> {
    let enrolment = &rest.cloud.enrolment;
    let wallet = enrolment.withdraw_from_wallet(&app.actor(), rider, new.amount_minor, &new.reference).await?;
    Ok((StatusCode::CREATED, Json(WalletView::of(rider, &wallet))))
}

/// What the rider owes, and what he has to his credit.
#[utoipa::path(get, path = "/v1/riders/{id}/debts", tag = "payment", operation_id = "listDebts",
    params(("id" = uuid::Uuid, Path, description = "Rider")), responses((status = 200, body = OwingView)))]
pub async fn debts(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<OwingView>, Problem> {
    Ok(Json((&rest.cloud.enrolment.owing(rider).await?).into()))
}

/// Has what the rider owes tried at once, because he asks for it.
///
/// Ask again what he owes a moment later: once it is paid, gates let him through within seconds.
#[utoipa::path(post, path = "/v1/riders/{id}/debts/payments", tag = "payment", operation_id = "payDebts",
    params(("id" = uuid::Uuid, Path, description = "Rider")), responses((status = 202, body = OwingView)))]
pub async fn pay(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<(StatusCode, Json<OwingView>), Problem> {
    let owing = rest.cloud.enrolment.pay_debts(&app.actor(), rider).await?;
    Ok((StatusCode::ACCEPTED, Json((&owing).into())))
}

fn bad_field(field: &'static str, problem: &str) -> Problem {
    crate::enrolment::EnrolmentError::BadField { field, problem: problem.to_owned() }.into()
}

impl LimitsView {
    fn checked(self) -> Result<NewLimits, Problem> {
        let only = match self.only.as_deref() {
            None => None,
            Some("rides") => Some(Channel::Rides),
            Some("pay_now") => Some(Channel::PayNow),
            Some(_) => return Err(bad_field("limits.only", "must be \"rides\" or \"pay_now\"")),
        };
        let Self { amount_max_minor, day_amount_max_minor, day_count_max, good_through, .. } = self;
        Ok(NewLimits { amount_max_minor, day_amount_max_minor, day_count_max, only, good_through })
    }
}

impl From<&Instruments> for InstrumentList {
    fn from(list: &Instruments) -> Self {
        Self { instruments: list.iter().map(InstrumentView::from).collect() }
    }
}

impl From<&Bound> for InstrumentView {
    fn from(bound: &Bound) -> Self {
        let limits = &bound.limits;
        let only = limits.only.map(|only| match only {
            Channel::Rides => "rides".to_owned(),
            Channel::PayNow => "pay_now".to_owned(),
        });
        let acquirer = match &bound.instrument {
            Instrument::Wallet => None,
            Instrument::Acquirer { acquirer, .. } => Some(acquirer.to_string()),
        };
        Self {
            instrument_id: bound.id().to_string(),
            kind: bound.instrument.name(),
            acquirer,
            limits: LimitsView {
                amount_max_minor: limits.amount_max_minor,
                day_amount_max_minor: limits.day_amount_max_minor,
                day_count_max: limits.day_count_max,
                only,
                good_through: None,
            },
            expires_at: limits.expires_at.map(Moment),
        }
    }
}

impl WalletView {
    pub fn of(rider: RiderId, statement: &WalletStatement) -> Self {
        let movements = statement.movements.iter().map(|(number, entry)| movement(rider, *number, entry));
        Self {
            currency: statement.balance.currency().to_string(),
            balance_minor: statement.balance.minor(),
            held_minor: statement.held.minor(),
            movements: movements.collect(),
        }
    }
}

fn movement(rider: RiderId, number: u64, entry: &Entry) -> MovementView {
    let own = entry.postings().iter().filter(|posting| posting.account == Account::Wallet(rider));
    let taken = own.map(|posting| posting.amount.minor()).fold(0_i64, i64::saturating_add);
    // Whose wallet it is, is known: the page shows no rider's whole id.
    let name = entry.id().as_str().replace(&format!("{rider}/"), "");
    MovementView { number, entry: name, at: Moment(entry.at()), amount_minor: taken.saturating_neg() }
}

impl From<&Owing> for OwingView {
    fn from(owing: &Owing) -> Self {
        Self {
            currency: owing.credit.currency().to_string(),
            debts: owing.debts.iter().map(DebtView::from).collect(),
            credit_minor: owing.credit.minor(),
            denied_for: owing.denied_for.iter().copied().map(DenyReason::name).collect(),
        }
    }
}

impl From<&Charge> for DebtView {
    fn from(charge: &Charge) -> Self {
        Self {
            charge_id: charge.id().to_string(),
            amount_minor: charge.amount().minor(),
            state: charge.state().name(),
            reason: charge.tried().last().map(|tried| tried.decline.to_string()),
            again_at: (charge.state().is_debt() && !charge.is_finished()).then(|| Moment(charge.next_at())),
        }
    }
}
