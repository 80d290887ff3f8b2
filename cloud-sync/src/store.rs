//! What the cloud knows, behind whole domain commands ("record these taps", "erase this rider"), never get and put.
//!
//! Each command is atomic and durable before it returns, and each is harmless when repeated. One trait per concern, so
//! that a reader finds the command beside the types it speaks in; [`Store`] is all of them together, and what the rest
//! of the server holds as `Arc<dyn Store>`.

mod acquirers;
mod audit;
mod books;
mod charges;
mod debits;
mod digest;
mod error;
mod face_bytes;
mod feed;
mod habits;
mod journals;
mod journeys;
mod keys;
mod leases;
mod ledger;
mod logged;
mod notices;
mod operation;
mod overview;
pub mod postgres;
mod remedies;
mod reserve;
mod riders;
mod risk;
mod settlements;
pub mod sled;
mod stations;
mod taps;
mod terms;
mod waivers;
mod wallets;

pub use acquirers::{AcquirerStore, AskedOf};
pub use audit::{AuditEntry, AuditStore, BrokenChain};
pub use books::{BookedRefund, BooksStore, DayClose, LateItem, LatePlace, RefundPlace, Span, WrittenFile};
pub use charges::{ChargeStore, Credit, FirstRide};
pub use debits::{DebitFile, DebitStore};
pub use digest::{DigestStore, Roots};
pub use error::StoreError;
pub use feed::{FeedStore, OutOfReach, SnapshotPage};
pub use habits::HabitStore;
pub use journals::{Arrival, AuditedDay, JournalAuditStore, JournalWord, SkewedRecord, Wanted};
pub use journeys::{BilledItem, JourneyStore, Posted, PriceAt, PricedRide, Pricing, Settlement, SupersededAt, Trip};
pub use keys::{KeyStore, KeyUse, ResealPage, SealedValues};
pub use leases::LeaseStore;
pub use ledger::LedgerStore;
pub use notices::NoticeStore;
pub use operation::{OperationStore, ToldAct};
pub use overview::{ChargeCount, Overview, OverviewStore};
pub use remedies::{Chargeback, RemedyStore};
pub use reserve::ReserveStore;
pub use riders::{
    Consent, Enrolled, ErasureId, ErasureReceipt, ErasureScope, Imported, Profile, Purpose, Rider, RiderStore,
};
pub use risk::{Look, RiskStore};
pub use settlements::{LinePlace, SettlementFile, SettlementRefusal, SettlementStore, subject};
pub use stations::{
    Claim, FareTableHeld, GateReport, Leasehold, RefusalCount, Standing, StationReport, StationStore, StationView,
    TierReport,
};
pub use taps::{Conflict, Gap, Intake, Mark, RiderTaps, TapStore, UnknownPassage};
pub use terms::{Again, TermsStore};
pub use waivers::{KeptWaiver, WAIVERS_LATELY_MAX, WaiverStore};
pub use wallets::{Held, WalletStore};

/// Everything that the cloud keeps.
pub trait Store:
    RiderStore
    + FeedStore
    + DigestStore
    + OperationStore
    + StationStore
    + HabitStore
    + TapStore
    + JourneyStore
    + TermsStore
    + WaiverStore
    + ChargeStore
    + AcquirerStore
    + DebitStore
    + WalletStore
    + LedgerStore
    + AuditStore
    + KeyStore
    + JournalAuditStore
    + OverviewStore
    + LeaseStore
    + NoticeStore
    + RemedyStore
    + ReserveStore
    + RiskStore
    + BooksStore
    + SettlementStore
    + std::fmt::Debug
    + Send
    + Sync
{
}
