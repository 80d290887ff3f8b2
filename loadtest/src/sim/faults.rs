//! What is made to go wrong with machines, lines and clocks.

use std::sync::Arc;
use std::time::Duration;

use facegate_proto::convert::sync::FeedChange;
use tokio::time::sleep;

use super::dice::Dice;
use super::machine::Machine;
use super::network::Weather;
use super::node::{Node, STATIONS};
use super::world::World;

/// Changes of a disk within which a power cut strikes.
const CHANGES_MAX: u64 = 25;

/// Hurts the world now and then, until it closes.
pub async fn hurt(world: Arc<World>) {
    let dice = Arc::new(world.dice.of("faults"));
    // Seeds differ in how rough they are; some have a perfect network, some right clocks.
    let rough = |worst: f64| [0.0, worst / 10.0, worst / 3.0, worst][dice.below(4)];
    world.network.set_weather(Weather { lost: rough(0.05), doubled: rough(0.2), late: rough(0.1) });
    let pause = dice.number(1_500..9_000);
    let wrong_clocks = dice.chance(0.5);
    while !world.closed() {
        sleep(dice.ms(pause / 3..pause)).await;
        if world.closed() {
            return;
        }
        let machine = world.machine(*dice.pick(&world.nodes));
        let station = u8::try_from(dice.below(usize::from(STATIONS))).unwrap_or(0);
        match dice.below(15) {
            0..=2 => cut_power(&world, &dice, &machine),
            3 | 4 => kill(&world, &dice, &machine),
            5 => fill_disk(&world, &dice, machine),
            6 => fail_syncs(&world, &dice, machine),
            7..=9 => cut_line(&world, &dice, machine.node),
            10 if wrong_clocks => set_clock(&world, &dice, &machine),
            11 => cut_off(&world, &dice, station),
            12 => exchange_disk(&world, &dice, station),
            13 => corrupt(&world, &dice, station),
            _ => cut_power_now(&world, &dice, &machine),
        }
    }
}

/// Between any two durable steps: before one of its next changes.
fn cut_power(world: &World, dice: &Dice, machine: &Machine) {
    let after = dice.number(0..CHANGES_MAX);
    world.events.fault("power_cut_between_steps", format_args!("{} after {after} changes", machine.node));
    machine.disk.cut_power_after(after, dice.seed());
}

fn cut_power_now(world: &World, dice: &Dice, machine: &Machine) {
    if !machine.disk.is_off() {
        world.events.fault("power_cut", machine.node);
        machine.disk.cut_power(dice.seed());
    }
}

fn kill(world: &World, dice: &Dice, machine: &Machine) {
    if machine.part().is_some() {
        world.events.fault("process_killed", machine.node);
        machine.kill(dice.seed());
    }
}

fn fill_disk(world: &World, dice: &Dice, machine: Arc<Machine>) {
    world.events.fault("disk_full", machine.node);
    machine.disk.set_capacity(Some(0));
    let lasts = dice.ms(1_000..15_000);
    tokio::spawn(async move {
        sleep(lasts).await;
        machine.disk.set_capacity(None);
    });
}

/// The next syncs fail; some time later somebody restarts the process, as its error asks for.
fn fail_syncs(world: &World, dice: &Dice, machine: Arc<Machine>) {
    world.events.fault("sync_failed", machine.node);
    machine.disk.fail_syncs(1);
    let (lasts, seed) = (dice.ms(1_000..10_000), dice.seed());
    tokio::spawn(async move {
        sleep(lasts).await;
        machine.disk.fail_syncs(0);
        machine.kill(seed);
    });
}

fn cut_line(world: &Arc<World>, dice: &Dice, node: Node) {
    let Some(above) = node.above() else { return };
    world.events.fault("partition", format_args!("{node} – {above}"));
    world.network.cut(node, above);
    let (world, lasts) = (Arc::clone(world), dice.ms(1_000..40_000));
    tokio::spawn(async move {
        sleep(lasts).await;
        world.network.mend(node, above);
    });
}

/// A station hears nothing of the cloud for longer than its lease.
fn cut_off(world: &Arc<World>, dice: &Dice, station: u8) {
    let Some(lease) = world.short_lease else { return };
    let node = Node::Station(station);
    world.events.fault("partition", format_args!("{node} – {} for long", Node::Cloud));
    world.network.cut(node, Node::Cloud);
    let (world, rest) = (Arc::clone(world), dice.ms(1_000..25_000));
    tokio::spawn(async move {
        sleep(lease + Duration::from_millis(1)).await;
        // Somebody else may have mended it.
        if world.network.cut_for(node, Node::Cloud).is_some_and(|alone| alone > lease) {
            world.events.fault("cut_off_beyond_lease", node);
        }
        sleep(rest).await;
        world.network.mend(node, Node::Cloud);
    });
}

/// Some time later a station is put back to what it is now, as from a copy of its machine. Not while it has records that
/// only it keeps: those would be gone with their disk, and no program could help that.
fn exchange_disk(world: &Arc<World>, dice: &Dice, station: u8) {
    let node = Node::Station(station);
    let machine = world.machine(node);
    let (later, seed) = (dice.ms(5_000..60_000), dice.seed());
    let Ok(copied) = machine.copy(seed) else { return };
    let world = Arc::clone(world);
    tokio::spawn(async move {
        sleep(later).await;
        while !world.closed() {
            if world.station(station).is_some_and(|station| station.backlog() == 0) {
                world.events.fault("older_disk", format_args!("{node} as it was {later:?} or longer ago"));
                return machine.exchange_disk(copied, seed);
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
}

/// Something that a station holds goes wrong there: a template is gone, or somebody is denied.
fn corrupt(world: &World, dice: &Dice, station: u8) {
    let rider = dice.below(world.riders.count());
    let template = dice.chance(0.5);
    let Some(station) = world.station(station) else { return };
    let facts = station.facts();
    let Some(gallery) = facts.gallery().filter(|_| world.riders.enrolled(rider) && !world.riders.leaves(rider)) else {
        return;
    };
    let name = &station.config.station;
    if template {
        let template = world.riders.template(rider);
        if gallery.templates_of(template.rider) == [template.id]
            && gallery.repair(template.embedding.model(), &[], &[template.id]).is_ok()
        {
            world.events.fault("gallery_corrupted", format_args!("{name} loses rider {rider}"));
        }
    } else {
        world.events.fault("deny_list_corrupted", format_args!("{name} denies rider {rider}"));
        facts.apply(&FeedChange::Denied(world.riders.id(rider)), station.clock.now());
    }
}

fn set_clock(world: &World, dice: &Dice, machine: &Machine) {
    let ms = i64::try_from(dice.number(0..60_000)).unwrap_or(0) - 30_000;
    world.events.fault("clock_wrong", format_args!("{} by {ms} ms", machine.node));
    machine.clock.set_wrong(ms);
}

/// All is well again, and stays so.
pub fn heal(world: &World) {
    world.network.set_weather(Weather::default());
    world.network.mend_all();
    world.acquirer.behave();
    for node in &world.nodes {
        let machine = world.machine(*node);
        machine.disk.set_capacity(None);
        machine.disk.fail_syncs(0);
        machine.disk.never_cut_power();
        machine.clock.set_wrong(0);
    }
}

/// Short enough for a station to be cut off beyond it within a run; an operator may not set one so short.
pub const SHORT_LEASE: Duration = Duration::from_secs(20);

/// Later than any pair of a lone tap is waited for.
pub const GIVEN_UP: Duration = Duration::from_secs(8 * 86_400);
/// Later than any bill of those days waits, and than the first time that a declined one is tried again.
pub const TRIED_AGAIN: Duration = Duration::from_secs(24 * 86_400);
