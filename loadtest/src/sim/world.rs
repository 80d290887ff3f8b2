//! The simulated city, from its seed to its findings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use facegate_cloud_sync::cloud::Cloud;
use facegate_domain::tap::Direction;
use facegate_domain::{Clock, Timestamp};
use facegate_gate_agent::journal::GateJournal;
use facegate_runtime::simulation::Simulation;
use facegate_station_server::station::Station;
use tokio::time::sleep;

use super::acquirer::SimAcquirer;
use super::aisle::{Aisle, Crossing};
use super::clock::SimClock;
use super::dice::Dice;
use super::events::{Broken, Events};
use super::machine::{Machine, Part};
use super::network::Network;
use super::node::{Node, station_id};
use super::office::{Erased, Office};
use super::riders::Riders;
use super::sabotage::Sabotage;
use super::{Finished, checks, cloud, faults};
use crate::soak::memory::Memory;

/// How long trouble goes on.
const TROUBLE_MS: std::ops::Range<u64> = 60_000..200_000;
/// How long all may take to converge when it is over.
const CONVERGE_S: u64 = 240;

/// What kind of day a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A few minutes in which everything goes wrong.
    Troubled,
    /// So many hours in which nothing does.
    Quiet(u32),
}

/// Everything that a run shares.
#[derive(Debug)]
pub struct World {
    pub dice: Dice,
    pub events: Arc<Events>,
    pub network: Arc<Network>,
    pub acquirer: Arc<SimAcquirer>,
    pub riders: Riders,
    pub office: Office,
    /// Stations' leases last so long; else days.
    pub short_lease: Option<Duration>,
    /// How the cloud makes bills of rides, as its config says it.
    pub billing: String,
    clock: SimClock,
    pub nodes: Vec<Node>,
    pub crossings: Arc<Mutex<Vec<Crossing>>>,
    machines: BTreeMap<Node, Arc<Machine>>,
    aisles: BTreeMap<Node, Arc<Aisle>>,
    failed_starts: Mutex<BTreeMap<Node, String>>,
    closed: AtomicBool,
}

impl World {
    fn new(seed: u64, folder: &Path, sabotage: Option<Sabotage>, day: Day) -> Result<Arc<Self>> {
        let (dice, events) = (Dice::new(seed), Arc::new(Events::new()));
        let (clock, nodes) = (SimClock::new(), Node::all());
        let mut machines = BTreeMap::new();
        for node in &nodes {
            let machine = Machine::new(*node, folder.join(node.to_string()), &dice)?;
            if sabotage.is_some_and(|sabotage| sabotage.disk_lies(*node)) {
                machine.disk.lie_about_syncs();
            }
            machines.insert(*node, machine);
        }
        let crossings = Arc::default();
        let mut aisles = BTreeMap::new();
        for node in Node::gates() {
            let Node::Gate(station, way) = node else { continue };
            let aisle = Aisle::new((station, way), dice.of(node), Arc::clone(&events), Arc::clone(&crossings));
            aisles.insert(node, aisle);
        }
        let issuer = cloud::issuer(&machines[&Node::Cloud])?;
        let count = 6 + dice.below(7);
        let forgets = sabotage == Some(Sabotage::AcquirerForgets);
        let short_lease = dice.of("lease").chance(0.5).then_some(faults::SHORT_LEASE);
        let billing = billing(&dice.of("billing"));
        Ok(Arc::new(Self {
            network: Network::new(&dice, Arc::clone(&events), sabotage),
            acquirer: SimAcquirer::new(dice.of("acquirer"), Arc::clone(&events), forgets),
            riders: Riders::make(count, &dice, &issuer, &clock, day != Day::Troubled)?,
            office: Office::default(),
            short_lease,
            billing,
            dice,
            events,
            clock,
            nodes,
            crossings,
            machines,
            aisles,
            failed_starts: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    /// The network closes for today: nobody goes in any more, and nothing more goes wrong.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The right time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn machine(&self, node: Node) -> Arc<Machine> {
        Arc::clone(&self.machines[&node])
    }

    pub fn aisle(&self, station: u8, way: Direction) -> Arc<Aisle> {
        Arc::clone(&self.aisles[&Node::Gate(station, way)])
    }

    pub fn cloud(&self) -> Option<Arc<Cloud>> {
        match self.machines[&Node::Cloud].part() {
            Some(Part::Cloud(cloud)) => Some(cloud),
            _ => None,
        }
    }

    pub fn station(&self, number: u8) -> Option<Arc<Station>> {
        match self.machines[&Node::Station(number)].part() {
            Some(Part::Station(station)) => Some(station),
            _ => None,
        }
    }

    fn journal(&self, gate: Node) -> Option<Arc<GateJournal>> {
        match self.machines[&gate].part() {
            Some(Part::Gate(journal)) => Some(journal),
            _ => None,
        }
    }

    pub fn not_started(&self, node: Node, error: String) {
        self.failed_starts.lock().unwrap_or_else(PoisonError::into_inner).insert(node, error);
    }

    /// Whether the station has said, and the cloud has it on its disk, that it has forgotten him.
    pub async fn has_acknowledged(&self, station: u8, erased: &Erased) -> bool {
        let Some(cloud) = self.cloud() else { return false };
        match cloud.store.erasure(erased.receipt).await {
            Ok(Some(receipt)) => !receipt.outstanding.contains(&station_id(station)),
            _ => false,
        }
    }

    /// A station has recognised somebody, and had been cut off from the cloud for so long when it was asked.
    pub fn within_lease(&self, station: u8, alone: Option<Duration>) {
        if let (Some(alone), Some(lease)) = (alone, self.short_lease)
            && alone > lease
        {
            let what = format!("{} knows faces {alone:?} after it was cut off", station_id(station));
            self.events.broken(Broken::Resurrected, what);
        }
    }

    /// What keeps the world from being at rest.
    async fn unrest(&self) -> Option<String> {
        if !self.riders.at_rest() {
            return Some("somebody is on his way".into());
        }
        let Some(cloud) = self.cloud() else { return Some("the cloud is down".into()) };
        let head = *cloud.store.head().borrow();
        for node in &self.nodes {
            match *node {
                Node::Cloud => (),
                Node::Station(number) => {
                    let Some(station) = self.station(number) else { return Some(format!("{node} is down")) };
                    let (applied, backlog) = (station.applied_version(), station.backlog());
                    if applied != head || backlog > 0 {
                        return Some(format!("{node} is at {applied} of {head} with {backlog} records to forward"));
                    }
                    if let Some(set) = differing(&cloud, &station).await {
                        return Some(format!("{node} holds other {set} than the cloud"));
                    }
                }
                Node::Gate(..) => {
                    let Some(journal) = self.journal(*node) else { return Some(format!("{node} is down")) };
                    let (backlog, open) = (journal.backlog(), journal.unconcluded().len());
                    if backlog + open as u64 > 0 {
                        return Some(format!("{node} has {backlog} records to deliver and {open} open passages"));
                    }
                }
            }
        }
        None
    }

    /// Hours in which everybody rides. Every quarter of one is read how much memory this process has, and how much the
    /// simulated disks hold, which are in it.
    async fn pass(&self, hours: u32, memory: &mut Memory) -> Result<()> {
        let this = [("process".to_owned(), std::process::id())];
        for quarter in 0..hours * 4 {
            let before = self.crossings();
            sleep(Duration::from_secs(900)).await;
            // What happened is for runs that are read.
            self.events.forget();
            memory.read(&this)?;
            memory.note("disks", self.on_disks(|_| true)?);
            memory.note("gates' disks", self.on_disks(|node| matches!(node, Node::Gate(..)))?);
            let crossings = self.crossings();
            if crossings == before {
                self.events.broken(Broken::Diverged, format_args!("nobody passes any gate after {quarter} quarters"));
            }
            eprintln!("{:.2} h, {crossings} bodies, bytes {:?}", f64::from(quarter + 1) / 4.0, memory.last());
        }
        Ok(())
    }

    fn on_disks(&self, of: impl Fn(&Node) -> bool) -> Result<i64> {
        let disks = self.machines.iter().filter(|(node, _)| of(node)).map(|(_, machine)| machine.disk.used_bytes());
        Ok(i64::try_from(disks.sum::<u64>())?)
    }

    fn crossings(&self) -> usize {
        self.crossings.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until all agree; says who does not if that takes too long.
    async fn converge(&self) {
        let mut why = None;
        for _ in 0..CONVERGE_S {
            why = self.unrest().await;
            if why.is_none() {
                // What is on its way in the network may still arrive.
                sleep(Duration::from_secs(10)).await;
                why = self.unrest().await;
                if why.is_none() {
                    return;
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
        let starts = self.failed_starts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let down = self.nodes.iter().filter(|node| self.machines[node].part().is_none());
        let down: Vec<_> = down.map(|node| format!("{node}: {:?}", starts.get(node))).collect();
        self.events.broken(Broken::Diverged, format_args!("no rest: {} {}", why.unwrap_or_default(), down.join(", ")));
    }
}

/// A set of facts that the station has otherwise than the cloud, and will put right.
async fn differing(cloud: &Cloud, station: &Station) -> Option<String> {
    let (version, ours) = station.roots();
    let theirs = cloud.store.roots_at(version).await.ok()??;
    let other = |(set, root): &(_, u64)| theirs.get(&format!("{set}")).copied().unwrap_or(0) != *root;
    ours.iter().find(|ours| other(ours)).map(|(set, _)| set.to_string())
}

/// Runs the city of this seed. Blocks its thread, which must have no runtime.
pub fn run(seed: u64, folder: &Path, sabotage: Option<Sabotage>, day: Day) -> Result<Finished> {
    let _simulation = Simulation::begin(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(live(seed, folder, sabotage, day))
}

async fn live(seed: u64, folder: &Path, sabotage: Option<Sabotage>, day: Day) -> Result<Finished> {
    let world = World::new(seed, folder, sabotage, day)?;
    let mut memory = Memory::default();
    world.events.say(format_args!("seed {seed}, {} riders", world.riders.count()));
    for node in &world.nodes {
        tokio::spawn(world.machine(*node).run(Arc::clone(&world)));
    }
    let opening = tokio::spawn(open(Arc::clone(&world)));
    if day == Day::Troubled {
        tokio::spawn(faults::hurt(Arc::clone(&world)));
        tokio::spawn(Office::work(Arc::clone(&world)));
    }
    for rider in 0..world.riders.count() {
        tokio::spawn(Riders::live(Arc::clone(&world), rider));
    }
    match day {
        Day::Troubled => sleep(world.dice.ms(TROUBLE_MS)).await,
        Day::Quiet(hours) => world.pass(hours, &mut memory).await?,
    }
    world.closed.store(true, Ordering::SeqCst);
    faults::heal(&world);
    world.events.say("all is well again");
    opening.await?;
    // Processes whose disk failed are restarted within seconds; what was armed before is over then.
    sleep(Duration::from_secs(16)).await;
    faults::heal(&world);
    world.converge().await;
    checks::promises_kept(&world).await?;
    // A week later: nobody waits for the other end of a tap any more.
    let later = i64::try_from(faults::GIVEN_UP.as_millis())?;
    world.machine(Node::Cloud).clock.set_wrong(later);
    sleep(Duration::from_secs(60)).await;
    world.converge().await;
    // And weeks later: what was declined has been tried again.
    let later = i64::try_from(faults::TRIED_AGAIN.as_millis())?;
    world.machine(Node::Cloud).clock.set_wrong(later);
    sleep(Duration::from_secs(60)).await;
    world.converge().await;
    checks::all_settled(&world).await?;
    world.events.say("the end");
    Ok(Finished { memory, ..Finished::of(seed, &world.events) })
}

/// One bill a ride, a day, or a sum; new cards are verified at their first ride, or not; some have rides paid in advance.
fn billing(dice: &Dice) -> String {
    let bills = ["trip", "day", "amount"][dice.below(3)];
    let (verified, limit) = (if dice.chance(0.5) { 100 } else { 0 }, if dice.chance(0.5) { 600 } else { 0 });
    let prepaid = match dice.below(4) {
        0 => "prepay = true\n",
        // Less than most rides cost.
        1 => "prepay = true\nhold_max_minor = 350\n",
        _ => "",
    };
    format!(
        "bills = \"{bills}\"\nbill_amount_minor = 1000\nverify_minor = {verified}\n\
         first_ride_limit_minor = {limit}\n{prepaid}"
    )
}

/// Enrols everybody, most of them before the first ride.
async fn open(world: Arc<World>) {
    let dice = world.dice.of("opening");
    for rider in 0..world.riders.count() {
        Office::enrol(&world, &dice, rider).await;
        if dice.chance(0.3) {
            sleep(dice.ms(100..15_000)).await;
        }
    }
}
