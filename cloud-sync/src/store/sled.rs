//! The embedded store: one writer at a time reads, computes, and applies one atomic batch; then the command waits for the
//! group commit. Queries read what is applied, and the feed shows only what is durable.
//!
//! Three databases in three folders. `core` knows riders by their random id alone; `faces` and `identity` hold sealed
//! values under a key each. A crash between two databases leaves either an orphan in one of the latter, or a reference
//! to what was never acknowledged: `reconcile` removes both when the store is opened.
//!
//! | `core` key | value (JSON unless said) |
//! |---|---|
//! | `layout` | the version of this table, 1 |
//! | `count/` name | counter |
//! | `key-since/` purpose `/` key id | when that key was first used |
//! | `rider/` rider | `Rider` |
//! | `leaving/` rider | erased, account kept until nothing is owed on it |
//! | `face/` template | the rider whose sealed face it is, and its model (of before: the rider alone) |
//! | `erasure/` id · `erasing/` id | `ErasureReceipt` · its id, until it is final |
//! | `feed-id` | 16 random bytes that name this log |
//! | `feed-head` · `feed-first` · `feed/` version | last version · the last one gone · `Logged`; a face's entry names the template and never holds it |
//! | `digest/` set 0 bucket · `digest-roots` · `digest-at/` version · `digest-head`, `digest-contents-head` | exclusive or of the hashes of a bucket's facts · each set's root · the same as of that version · the version that they, and those of contents, are of |
//! | `issuer-keys` · `denied/` rider | published keys · why, a set of `DenyReason` |
//! | `told/` place | `Instruction` of the operator that holds |
//! | `gate-act/` id · `gate-act-at/` time id · `gate-act-of/` gate | `ToldAct` · its id · the latest one there |
//! | `inside/` rider | record id of the entry |
//! | `nonce/` nonce · `replay/` record | the authorisation that spent it · the one before, of a code that opened two gates |
//! | `station/` station | `StationView` |
//! | `regulars/` station · `regulars-root/` station · `regulars-at` | `Vec<Regular>` · the root of its digest · when all were computed |
//! | `regular-of/` rider station | empty, if he is one of the above |
//! | `record/` gate 0 epoch sequence | `facegate.v1.GateRecord` (protobuf) |
//! | `journal/` gate 0 epoch | `Arrived`: next sequence missing, highest seen |
//! | `word/` gate 0 epoch day | `JournalWord`: what the gate or its station said last on that day |
//! | `wanted/` gate 0 epoch first last | `Wanted`: asked for once more, perhaps lost |
//! | `audited/` gate 0 epoch day `/` revision | `AuditedDay` |
//! | `skewed/` record | `SkewedRecord`: stamped later than it came |
//! | `passage/` authorisation sequence | `PassageOutcome` of the passage with that sequence |
//! | `unknown/` authorisation | `UnknownPassage` |
//! | `conflict/` record sha256 | `Conflict` |
//! | `tap/` rider time record · `open/` (same) | `Tap` · its direction (null of a late entry), until a journey uses it |
//! | `settled/` record | the ride that used it, or null for a second presentation |
//! | `journey/` id · `trip/` rider time id | `PricedRide` · empty |
//! | `ended/` time id · `held/` id · `elsewhere/` id | empty, by its last tap · while it has no price · while an external system owes it |
//! | `terms/` rider · `waiver/` id · `again/` rider | `KeptTerms` · `KeptWaiver` · `Again`: his rides are to be priced anew |
//! | `proposed-waiver/` id · `proposed-waiver-at/`, `waiver-awaiting/` time id | `ProposedWaiver` · empty, the latter while it waits for a second person |
//! | `settlements/` rider · `tariff-revision` | how many there were · how often what they are priced by was changed |
//! | `item/` id · `uncharged/` time id · `uncharged-of/` rider time id | `KeptItem` · empty · empty |
//! | `charge/` id · `due/` time id · `rider-charge/` rider time id | `Charge` · empty, until it is finished · empty |
//! | `debt/` rider charge · `credit/` rider currency · `paid/` rider | empty, until it is paid · `Credit` · empty, once a charge was captured |
//! | `verified/` rider instrument · `unverified/` rider · `first-ride/` rider | empty: was shown to pay · empty: is to be, on a ride · the entry of that ride |
//! | `wallet-entry/` rider number | empty: that entry moves the wallet |
//! | `entry/` number · `entry-id/` id · `balance/` account currency | `Entry` · its number · running `Money` |
//! | `entry-at/` time number · `hour/` hour currency account | empty · `Turnover` of a control account |
//! | `asked/` acquirer 0 key · `asked-as/` acquirer 0 reference | `AskedOf` · its key |
//! | `told-event/` acquirer 0 event · `told-event-at/` time acquirer 0 event | empty · both names |
//! | `debit/` acquirer 0 key · `debit-ordered/` (same) | `DebitOrder` · its key, until it is in a file |
//! | `debit-file/` acquirer 0 day · `debit-answer/` acquirer 0 number | `DebitFile` · the digest of the answer |
//! | `settlement/` date acquirer | `Kept`: a settlement file, begun or imported |
//! | `settled-line/` date acquirer 0 subject kind 0 reference | `KeptLine`: a line, by the charge or refund that it is about |
//! | `settled-ref/` acquirer 0 kind 0 reference · `settled-of/` subject date acquirer 0 kind 0 reference | `Seen` · empty |
//! | `closed/` day · `late/` time item | `DayClose` · the time, of an item of a closed day |
//! | `audit/` number | `AuditEntry` |
//! | `remedy/` id · `remedy-charge/` charge id · `remedy-rider/` rider time id | `Remedy` · empty · empty |
//! | `remedy-due/` time id · `remedy-asked/` time id | empty, while it is under way · empty, while it waits for a second person |
//! | `dispute/` id · `dispute-charge/` charge id · `dispute-rider/` rider time id · `dispute-open/` time id | `Dispute` · empty · empty · empty, while it is open |
//! | `risk/` record · `risk-at/` time record | `RiskDecision` about that tap · its record id |
//! | `look/` record · `look-due/` time record | `Look`: a tap to be looked at for risk · its record id |
//! | `funding/` id · `funding-at/` time id | `Funding` of the reserve · empty |
//! | `attacks/` station 0 gate | the gate and its `GateAttacks`, of lately |
//! | `capped/` rider | until when his face alone opens no entry |
//! | `refunded/` time remedy id | empty: it went back through an acquirer, booked then |
//! | `closing` | `Closing`: the day that is being closed, and by whom |
//! | `hold-wanted/` charge id | the entry's `Tap`, until its hold is opened or not wanted any more |
//! | `notices/` rider | `NoticeQueue`: how many are written, how many delivered |
//! | `notice/` rider number · `notice-due/` time rider | `Notice`, until it is delivered · empty, while one of the rider's waits |
//!
//! | database | key | sealed value |
//! |---|---|---|
//! | `faces` | template | model and float32 values of one embedding |
//! | both, tree `key-check` | `facegate` | itself, to tell a wrong key |
//! | `identity` | `profile/` · `account/` · `password/` rider | `Profile` · `Instruments` · password hash |

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::keys::KeyProvider;
use facegate_runtime::kv::{Database, KvError, KvOptions, Tree};
use tokio::sync::watch;

use super::{SealedValues, Store, StoreError};
use sealed::Sealed;
use tx::{Tx, from_kv};

mod acquirers;
pub mod at_rest;
mod audit;
mod books;
mod charges;
mod debits;
mod digest;
mod erasure;
mod feed;
mod habits;
mod intake;
mod journals;
mod journeys;
mod key;
mod keys;
mod leases;
mod ledger;
mod notices;
mod operation;
mod overview;
mod reconcile;
mod remedies;
mod reserve;
mod riders;
mod risk;
mod sealed;
mod settlements;
mod standing;
mod stations;
mod taps;
mod terms;
mod tx;
mod waivers;
mod wallets;

/// Version of the table above.
const LAYOUT: u32 = 1;

/// Memory for the pages of each of the three databases, unless the operator gives more.
pub const CACHE_BYTES: u64 = 64 << 20;
/// Of each of the three databases. Every command commits.
const OPTIONS: KvOptions = KvOptions { cache_bytes: CACHE_BYTES, flush_every_ms: None, syncs: true };

#[derive(Debug)]
pub struct SledStore {
    core: Tree,
    faces: Sealed,
    identity: Sealed,
    writer: Mutex<()>,
    leases: leases::Leases,
    durable: Durable,
    feed_kept: u64,
    log_id: [u8; 16],
    keeps_notices: AtomicBool,
    wants_holds: AtomicBool,
    wants_looks: AtomicBool,
}

/// Which databases a command has written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touched {
    Core,
    All,
}

/// Makes a command durable, then shows it to the feed's readers.
#[derive(Debug, Clone)]
struct Durable {
    core: Database,
    faces: Database,
    identity: Database,
    head: watch::Sender<u64>,
}

impl Durable {
    async fn commit(self, touched: Touched, head: u64) -> Result<(), KvError> {
        if touched == Touched::All {
            self.faces.commit().await?;
            self.identity.commit().await?;
        }
        self.core.commit().await?;
        self.head.send_if_modified(|shown| {
            let rises = head > *shown;
            *shown = head.max(*shown);
            rises
        });
        Ok(())
    }
}

impl SledStore {
    /// Opens or creates the store in `dir`.
    ///
    /// Errors: `Newer` for a store that a newer version wrote, `Key` without the keys it was sealed under,
    /// `Unavailable` while another process has it open.
    ///
    /// `feed_kept` is how many of the feed's latest versions stay; a station further behind takes a snapshot.
    pub fn open(dir: &Path, keys: &dyn KeyProvider, feed_kept: u64) -> Result<Self, StoreError> {
        Self::open_on(&RealDisk, dir, keys, feed_kept)
    }

    /// [`SledStore::open`] with so much memory for the pages of each database: what is read and written at random, as
    /// millions of riders are, is fast while it fits.
    pub fn open_cached(
        dir: &Path,
        keys: &dyn KeyProvider,
        feed_kept: u64,
        cache_bytes: u64,
    ) -> Result<Self, StoreError> {
        let options = KvOptions { cache_bytes, ..OPTIONS };
        Self::refuse_half_restored(dir)?;
        Self::open_there(&RealDisk, options, dir, keys, feed_kept)
    }

    /// [`SledStore::open_cached`] to be filled by a measurement: no command waits for the disk, and what was told is durable
    /// only once the store has been closed.
    pub fn open_to_fill(
        dir: &Path,
        keys: &dyn KeyProvider,
        feed_kept: u64,
        cache_bytes: u64,
    ) -> Result<Self, StoreError> {
        Self::open_there(&RealDisk, KvOptions { cache_bytes, syncs: false, ..OPTIONS }, dir, keys, feed_kept)
    }

    /// [`SledStore::open`] on a disk of the caller's, which the simulation cuts the power of.
    pub fn open_on(disk: &dyn Disk, dir: &Path, keys: &dyn KeyProvider, feed_kept: u64) -> Result<Self, StoreError> {
        Self::refuse_half_restored(dir)?;
        Self::open_there(disk, OPTIONS, dir, keys, feed_kept)
    }

    fn refuse_half_restored(dir: &Path) -> Result<(), StoreError> {
        if dir.join(at_rest::RESTORING).exists() {
            return Err(StoreError::Restoring(dir.to_owned()));
        }
        Ok(())
    }

    /// [`SledStore::open`] for the restore that is putting it there.
    pub fn open_restored(dir: &Path, keys: &dyn KeyProvider, feed_kept: u64) -> Result<Self, StoreError> {
        Self::open_there(&RealDisk, OPTIONS, dir, keys, feed_kept)
    }

    fn open_there(
        disk: &dyn Disk,
        options: KvOptions,
        dir: &Path,
        keys: &dyn KeyProvider,
        feed_kept: u64,
    ) -> Result<Self, StoreError> {
        let open = |name| disk.database(&dir.join(name), options).map_err(from_kv);
        let (core, faces, identity) = (open("core")?, open("faces")?, open("identity")?);
        let head = check_layout(&core.root(), dir)?;
        let log_id = feed::log_id(&core.root())?;
        let store = Self {
            faces: Sealed::open(&faces, &keys.ring(SealedValues::Templates.purpose())?)?,
            identity: Sealed::open(&identity, &keys.ring(SealedValues::Identities.purpose())?)?,
            core: core.root(),
            writer: Mutex::new(()),
            leases: leases::Leases::default(),
            feed_kept,
            log_id,
            keeps_notices: AtomicBool::new(false),
            wants_holds: AtomicBool::new(false),
            wants_looks: AtomicBool::new(false),
            durable: Durable { core, faces, identity, head: watch::Sender::new(head) },
        };
        digest::build_if_behind(&store)?;
        ledger::index_if_behind(&store)?;
        reconcile::reconcile(&store)?;
        Ok(store)
    }

    fn read(&self) -> Tx<'_> {
        Tx::new(&self.core)
    }

    /// Runs a command over `core`.
    async fn write<T>(&self, command: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (value, head) = self.apply(command)?;
        self.commit(Touched::Core, head).await?;
        Ok(value)
    }

    /// Runs a command that also writes sealed values.
    async fn write_sealed<T>(
        &self,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (value, head) = self.apply(command)?;
        self.commit(Touched::All, head).await?;
        Ok(value)
    }

    fn apply<T>(&self, command: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<(T, u64), StoreError> {
        // A panic in a command leaves nothing half-written, since its batch is applied last.
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tx = self.read();
        tx.keeps_notices = self.keeps_notices.load(Ordering::Relaxed);
        tx.wants_holds = self.wants_holds.load(Ordering::Relaxed);
        tx.wants_looks = self.wants_looks.load(Ordering::Relaxed);
        let value = command(&mut tx)?;
        digest::keep(self, &mut tx)?;
        let head = feed::trim(&mut tx, self.feed_kept)?;
        tx.apply()?;
        Ok((value, head))
    }

    /// A task of its own, so that a caller who hangs up does not leave the feed's readers unaware of what is durable.
    async fn commit(&self, touched: Touched, head: u64) -> Result<(), StoreError> {
        let committed = tokio::spawn(self.durable.clone().commit(touched, head)).await;
        committed
            .map_err(|stopped| StoreError::Unavailable(stopped.to_string()))?
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Store for SledStore {}

/// Refuses a newer layout; gives the feed's head.
fn check_layout(core: &Tree, dir: &Path) -> Result<u64, StoreError> {
    let mut tx = Tx::new(core);
    let found = tx.get::<u32>(key::LAYOUT)?;
    if let Some(found) = found.filter(|found| *found > LAYOUT) {
        return Err(StoreError::Newer { path: dir.display().to_string(), found, known: LAYOUT });
    }
    let head = feed::head(&tx)?;
    if found.is_none() {
        tx.put(key::LAYOUT.to_vec(), &LAYOUT);
        tx.apply()?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests;
