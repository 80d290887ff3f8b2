//! Why a command did not happen. After any of these the store is as it was before.

use facegate_domain::billing::ItemId;
use facegate_domain::charge::{ChargeError, ChargeId, IdempotencyKey, InstrumentProblem};
use facegate_domain::debit::DebitProblem;
use facegate_domain::dispute::{DisputeError, DisputeId};
use facegate_domain::ids::{RecordId, RiderId, StationId};
use facegate_domain::journey::JourneyId;
use facegate_domain::ledger::LedgerError;
use facegate_domain::money::Money;
use facegate_domain::operation::InvalidInstruction;
use facegate_domain::remedy::{RemedyError, RemedyId};
use facegate_domain::reserve::FundingError;
use facegate_domain::waiving::WaivingError;
use jiff::civil::Date;

use super::riders::Purpose;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no rider {0}")]
    UnknownRider(RiderId),
    #[error("rider {0} was erased and cannot be changed")]
    Erased(RiderId),
    #[error("rider {rider} has not consented to {purpose}: record the consent first", purpose = purpose.name())]
    ConsentMissing { rider: RiderId, purpose: Purpose },
    #[error("rider {0} has a face enrolled already")]
    AlreadyEnrolled(RiderId),
    #[error("another face was enrolled at version {version}: compare with that one first")]
    NewerFace { version: u64 },
    #[error("there is no station {0}: it has never asked for the feed or for a lease")]
    UnknownStation(StationId),
    #[error("station {0} is revoked or decommissioned: it gets no lease and no faces until the operator reinstates it")]
    LeaseEnded(StationId),
    #[error("tap {0} belongs to a settled journey: pair the rider's taps again")]
    TapSettled(RecordId),
    #[error("there is no journey {0}")]
    UnknownJourney(JourneyId),
    #[error("rider {0} was settled meanwhile: pair and price his taps again")]
    SettledMeanwhile(RiderId),
    #[error("fare tables or waivers were changed while the rides of rider {0} were priced; price them anew")]
    TariffChanged(RiderId),
    #[error("there is no item {0}")]
    UnknownItem(ItemId),
    #[error("item {item} is in charge {charge} already: leave it to that one")]
    ItemCharged { item: ItemId, charge: ChargeId },
    #[error("there is no charge {0}")]
    UnknownCharge(ChargeId),
    #[error("nothing is held under {0}")]
    UnknownHold(IdempotencyKey),
    #[error("the wallet holds {funds}, and no more can be taken")]
    WalletShort { funds: Money },
    #[error("{0} is being closed: what belongs to it waits until it is, and counts on a later day then")]
    DayClosing(Date),
    #[error("closing {0} took so long that others went on; close it again")]
    CloseOverdue(Date),
    #[error(transparent)]
    Instruments(#[from] InstrumentProblem),
    #[error("there are as many fare tables as stations hold: withdraw one first")]
    TooManyFareTables,
    #[error(transparent)]
    Instruction(#[from] InvalidInstruction),
    #[error(transparent)]
    Settlement(#[from] super::SettlementRefusal),
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error("there is no remedy {0}")]
    UnknownRemedy(RemedyId),
    #[error(transparent)]
    Remedy(#[from] RemedyError),
    #[error("there is no dispute {0}")]
    UnknownDispute(DisputeId),
    #[error(transparent)]
    Dispute(#[from] DisputeError),
    #[error(transparent)]
    Funding(#[from] FundingError),
    #[error(transparent)]
    Waiving(#[from] WaivingError),
    #[error(transparent)]
    Debit(#[from] DebitProblem),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("record {0} has a sequence beyond 2^63 - 1, which no journal reaches: look at that gate")]
    BeyondRange(RecordId),
    /// An impossible state: the process stops and reports, since going on could charge somebody twice.
    #[error("the store holds something impossible at {key}: {reason}; stop and restore from the last backup")]
    Damaged { key: String, reason: String },
    #[error("the store was sealed under other keys, nothing was changed: {0}")]
    WrongKey(String),
    #[error("there is a store already, in {}: move it away first; nothing is overwritten", .0.display())]
    Occupied(std::path::PathBuf),
    #[error("a restore into {} was cut short: run it again, or remove what it left there", .0.display())]
    Restoring(std::path::PathBuf),
    #[error(transparent)]
    Key(#[from] facegate_runtime::keys::KeyError),
    #[error("the store is out of reach or does not take writes: {0}; nothing was acknowledged, try again when it does")]
    Unavailable(String),
    #[error(
        "the store at {path} was written by a newer version (layout {found}, this one knows {known}): run that version"
    )]
    Newer { path: String, found: u32, known: u32 },
}
