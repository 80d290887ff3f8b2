//! What happens in the demo, step by step, with the people who do it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use facegate_domain::code::Phone;
use facegate_domain::policy::Refusal;
use facegate_models::{EngineOptions, FaceEngine};
use facegate_runtime::clock::{Clock, SystemClock};

use super::say;
use crate::aisle::Walk;
use crate::app::{Account, MetroApp};
use crate::city::{City, Decision, Gate};
use crate::people::{People, walk_up};
use crate::phone;

/// Frames of one walk-up.
const FRAMES: usize = 12;
/// How long a body waits before a door that stays closed.
const PATIENCE: Duration = Duration::from_secs(6);

/// What the story tells the report.
#[derive(Debug, Default)]
pub struct Told {
    pub riders: Vec<Rider>,
    /// Complete rides, by bodies that crossed both beams.
    pub rides: Vec<Ride>,
    pub strangers_refused: usize,
    pub strangers_let_in: usize,
    pub replays_refused: usize,
    /// The entrance camera's sighting made its way into the station's `expected` tier.
    pub sighted: bool,
}

/// An enrolled person with his phone and his other photograph.
#[derive(Debug)]
pub struct Rider {
    pub label: &'static str,
    pub id: String,
    pub password: String,
    pub pays_by_card: bool,
    phone: Phone,
    walk_up: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub struct Ride {
    pub rider: usize,
    pub route: &'static str,
}

/// By what a rider passes a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Face,
    Code,
}

/// Tells the whole story in `city`.
pub async fn tell(city: &City, home: &Path) -> Result<Told> {
    let engine = FaceEngine::load(&home.join("models"), EngineOptions::default())?;
    let people = People::load(&home.join("people"))?;
    let app = city.metro_app()?;
    let mut told = Told { riders: enrol(city, &app, &engine, &people).await?, ..Told::default() };

    say("\nRider A comes in past the entrance camera:");
    city.camera().show(&told.riders[0].frames(By::Face)?).await?;
    told.sighted = is_expected(city).await?;
    say(&format!(
        "  the camera learns nothing; the station {} him now",
        if told.sighted { "expects" } else { "missed" }
    ));

    say("\nFour rides, all pairs of face and code:");
    let rides = [
        (0, "north", By::Face, "south", By::Face),
        (1, "north", By::Face, "south", By::Code),
        (0, "south", By::Code, "north", By::Face),
        (1, "south", By::Code, "north", By::Code),
    ];
    let mut spent_code = Vec::new();
    for (rider, from, by_in, to, by_out) in rides {
        let who = &told.riders[rider];
        let shown = pass(who, city.gate(from, "in")?, by_in).await?;
        pass(who, city.gate(to, "out")?, by_out).await?;
        if by_in == By::Code && from == "south" {
            spent_code = shown;
        }
        let route = if from == "north" { "north → south" } else { "south → north" };
        told.rides.push(Ride { rider, route });
    }

    say("\nPeople who are not enrolled:");
    for portrait in &people.strangers {
        let frames = walk_up(&engine, portrait, FRAMES)?;
        let (walk, decision) = present(city.gate("north", "in")?, &frames, Duration::from_secs(3)).await?;
        match walk {
            Walk::GaveUp => told.strangers_refused += 1,
            Walk::Crossed { .. } => told.strangers_let_in += 1,
        }
        say(&format!("  {:<14} {}", portrait.file, in_words(&decision)));
    }

    say("\nA code that was used already, shown again at the other station:");
    told.replays_refused += usize::from(replay_is_refused(city.gate("north", "in")?, &spent_code).await?);
    say("\nTrips are priced and charged later:");
    wait_for_charges(&app, &told).await?;
    print_receipts(&app, &told).await?;
    Ok(told)
}

/// Enrols the two people who have two photographs, and gives them phones.
pub async fn enrol_people(city: &City, home: &Path) -> Result<Vec<Rider>> {
    let engine = FaceEngine::load(&home.join("models"), EngineOptions::default())?;
    enrol(city, &city.metro_app()?, &engine, &People::load(&home.join("people"))?).await
}

/// Enrols the people who have two photographs, after showing that without consent nobody is enrolled.
async fn enrol(city: &City, app: &MetroApp, engine: &FaceEngine, people: &People) -> Result<Vec<Rider>> {
    say("\nEnrolment, with real photographs through the enrolment API:");
    let accounts = [Account::Wallet { top_up_minor: 10_000 }, Account::Acquirer { token: "tok_ok_demo".into() }];
    let mut riders = Vec::new();
    for (((photo, other), account), label) in people.riders.iter().zip(accounts).zip(["Rider A", "Rider B"]) {
        let id = app.create_rider(label).await?;
        let refused = app.enrol_face(&id, &photo.bytes).await;
        ensure!(refused.is_err(), "a face was enrolled without consent");
        app.consent(&id).await?;
        app.enrol_face(&id, &photo.bytes).await?;
        app.bind_account(&id, &account).await?;
        let password = app.set_page_password(&id).await?;
        let secret = phone::new_secret();
        let certificate = app.certify_phone(&id, &Phone::public_key(&secret)).await?;
        say(&format!("  {label}: consent recorded, enrolled with {}, {account}", photo.file));
        let walk_up = walk_up(engine, other, FRAMES)?;
        let pays_by_card = matches!(account, Account::Acquirer { .. });
        riders.push(Rider { label, id, password, pays_by_card, phone: phone::phone(&secret, certificate), walk_up });
    }
    city.wait_for_feed().await?;
    say("  both stations hold the new templates");
    Ok(riders)
}

/// Whether a station's `expected` tier holds somebody, by its metrics.
async fn is_expected(city: &City) -> Result<bool> {
    for _ in 0..50 {
        let texts = city.metrics().await?;
        let mut lines = texts.iter().flat_map(|text| text.lines());
        if lines.any(|l| l.starts_with("facegate_tier_riders") && l.contains("expected") && l.ends_with(" 1")) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// Passes one gate; gives the frames that were shown.
async fn pass(rider: &Rider, gate: &Gate, by: By) -> Result<Vec<Vec<u8>>> {
    let frames = rider.frames(by)?;
    let (walk, decision) = present(gate, &frames, PATIENCE).await?;
    let Walk::Crossed { .. } = walk else {
        bail!(
            "{} was not let through {}: {} {:?}; see {}",
            rider.label,
            gate.id,
            decision.kind,
            decision.reason,
            gate.log.display()
        );
    };
    say(&format!(
        "  {} {:<12} by {:<4} {:>5.0} ms",
        rider.label,
        gate.id,
        by.name(),
        decision.decision_ms.unwrap_or_default()
    ));
    Ok(frames)
}

/// Shows the frames at the gate with a body before the door; gives what became of it and the gate's decision.
async fn present(gate: &Gate, frames: &[Vec<u8>], patience: Duration) -> Result<(Walk, Decision)> {
    let before = gate.screen().await?.decided();
    let walk = gate.walk(frames, patience).await?;
    let decision = gate.screen().await?.verdict_after(before).with_context(|| {
        format!("{} decided nothing about {} frames; see {}", gate.id, frames.len(), gate.log.display())
    })?;
    Ok((walk, decision))
}

/// `frames` show a code that opened a gate of the other station some seconds ago.
async fn replay_is_refused(gate: &Gate, frames: &[Vec<u8>]) -> Result<bool> {
    let (walk, decision) = present(gate, frames, Duration::from_secs(3)).await?;
    say(&format!("  {:<14} {}", gate.id, in_words(&decision)));
    Ok(walk == Walk::GaveUp && decision.refusal() == Some(Refusal::CodeReplayed))
}

fn in_words(decision: &Decision) -> String {
    match decision.refusal() {
        Some(refusal) => format!("refused ({}): “{}”", refusal.name(), refusal.words().next.en),
        None => decision.kind.clone(),
    }
}

async fn wait_for_charges(app: &MetroApp, told: &Told) -> Result<()> {
    for _ in 0..150 {
        let mut captured = 0;
        for rider in &told.riders {
            captured += app.trips(&rider.id).await?.iter().filter(|trip| trip.charge_state == "captured").count();
        }
        if captured >= told.rides.len() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the rides were not all charged within 30 s")
}

async fn print_receipts(app: &MetroApp, told: &Told) -> Result<()> {
    for rider in &told.riders {
        for trip in app.trips(&rider.id).await? {
            say(&trip.receipt(rider.label));
        }
    }
    Ok(())
}

impl Rider {
    /// What the gate's camera sees of this rider: the walk-up, or a fresh code held before it.
    pub fn frames(&self, by: By) -> Result<Vec<Vec<u8>>> {
        Ok(match by {
            By::Face => self.walk_up.clone(),
            By::Code => {
                let code = phone::fresh_code(&self.phone, SystemClock::new().now());
                vec![phone::code_frame(&code)?; 2]
            }
        })
    }
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Code => "code",
        }
    }
}
