//! A stream of people through one aisle in real time: what the camera sees goes to the real gate, the gate's door lets them
//! pass, and what they did is the truth that its taps are held against.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_runtime::clock::{Clock, SystemClock};
use image::Luma;
use qrcode::{EcLevel, QrCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::line::{Line, Stream};
use super::queue::{Body, DOOR_S, Manner, Means, Queue, Step};
use super::scene::Camera;
use super::walkers::Walkers;
use crate::aisle::controller::Controller;
use crate::aisle::gaits::{TAILGATED, TURNS_BACK, WALKS, WITH_LUGGAGE};
use crate::city::{Decision, Gate};
use crate::phone;

/// Of a camera with 15 frames a second.
const FRAME_EVERY: Duration = Duration::from_millis(66);
/// After the last picture of somebody.
const DECIDED_WITHIN_S: f64 = 1.5;
/// Between two groups, on average.
const PAUSE_S: f64 = 1.5;
/// How often the screen is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Somebody who went through the door, and the authorisation under which it stood open.
#[derive(Debug, Clone)]
pub struct Crossed {
    pub token: String,
    pub who: usize,
    pub means: Means,
}

/// What came of a stream.
#[derive(Debug)]
pub struct Outcome {
    pub stream: Stream,
    pub crossed: Vec<Crossed>,
    /// Those who left without having been let through.
    pub left: Vec<(usize, Means)>,
    /// Authorisations under which somebody stepped in and back: nobody is charged for them.
    pub turned_back: Vec<String>,
    pub tailgaters: usize,
    pub decisions: Vec<Decision>,
    pub minutes: f64,
    /// Of those who crossed, who did within these minutes.
    pub in_time: usize,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "a count of people")]
    pub fn per_minute(&self) -> f64 {
        self.in_time as f64 / self.minutes
    }
}

/// How people arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// One behind the other, straight, as fast as the aisle takes them: how many pass in a minute.
    Dense,
    /// In groups with pauses between them, some of whom hesitate, draw a case, turn back or tailgate.
    Crowd,
}

impl Arrivals {
    fn manner(self, random: &mut StdRng) -> Manner {
        if self == Self::Crowd { Manner::of_a_crowd(random) } else { Manner::Straight }
    }

    /// Until the next one comes, as soon as there is room for him: exponential between groups of two on average.
    fn pause_s(self, random: &mut StdRng) -> f64 {
        match self {
            Self::Crowd if random.random_bool(0.5) => -PAUSE_S * random.random_range(f64::EPSILON..1.0).ln(),
            _ => 0.0,
        }
    }
}

/// A walk that is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    pub arrivals: Arrivals,
    pub length: Duration,
    pub seed: u64,
}

struct Aisle {
    gate: Gate,
    line: Arc<Line>,
    walkers: Arc<Walkers>,
    camera: Camera,
    queue: Queue,
    /// Since when the door has been open, if it is.
    open_since: Option<f64>,
    /// The first one's way through the beams.
    through: Option<Through>,
    /// The code on the phone of the first one.
    code: Option<Vec<u8>>,
    outcome: Outcome,
}

/// Somebody between the beams.
struct Through {
    /// The authorisation that he goes under.
    token: String,
    beams: JoinHandle<()>,
    turns_back: bool,
    is_tailgated: bool,
}

/// Lets people walk for so long.
pub async fn walk(gate: Gate, line: Arc<Line>, walkers: Arc<Walkers>, walk: Walk) -> Result<Outcome> {
    let mut random = StdRng::seed_from_u64(walk.seed);
    let (told, mut refusals) = mpsc::channel(64);
    let looking = tokio::spawn(look_at_screen(gate.clone(), told));
    let mut turn = random.random_range(0..line.turns.len());
    let mut next_s = 0.0;
    let mut aisle = Aisle::new(gate, line, walkers)?;
    let begun = Instant::now();
    let mut ticks = interval(FRAME_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = 0.0;
    // In the end nobody else is seen, and whoever has been let through by then goes through: no door may stand open for
    // who walks here next.
    let end_s = walk.length.as_secs_f64();
    let mut now = 0.0;
    while now < end_s + DECIDED_WITHIN_S || aisle.through.is_some() || aisle.gate.aisle.is_open() {
        ticks.tick().await;
        now = begun.elapsed().as_secs_f64();
        if now < end_s && now >= next_s && aisle.queue.has_room() {
            turn = (turn + 1) % aisle.line.turns.len();
            let (of, manner) = (&aisle.line.turns[turn], walk.arrivals.manner(&mut random));
            aisle.queue.comes(Body::new(turn, of.means, of.has_phone, manner, &mut random));
            next_s = now + walk.arrivals.pause_s(&mut random);
        }
        while refusals.try_recv().is_ok() {
            if let Some(first) = aisle.queue.first() {
                first.is_refused(now);
            }
        }
        aisle.step(now, now - last).await?;
        last = now;
        if now < end_s {
            aisle.outcome.in_time = aisle.outcome.crossed.len();
            aisle.show(now)?;
        } else {
            aisle.show_nobody()?;
        }
    }
    let minutes = end_s / 60.0;
    // The last decisions are on the screen by then.
    tokio::time::sleep(LOOK_EVERY * 2).await;
    drop(refusals);
    let decisions = looking.await.context("the look at the screen ended early")?;
    Ok(Outcome { decisions, minutes, ..aisle.outcome })
}

impl Aisle {
    fn new(gate: Gate, line: Arc<Line>, walkers: Arc<Walkers>) -> Result<Self> {
        let outcome = Outcome {
            stream: line.stream,
            crossed: Vec::new(),
            left: Vec::new(),
            turned_back: Vec::new(),
            tailgaters: 0,
            decisions: Vec::new(),
            minutes: 0.0,
            in_time: 0,
        };
        let (camera, queue) = (Camera::new()?, Queue::default());
        Ok(Self { gate, line, walkers, camera, queue, open_since: None, through: None, code: None, outcome })
    }

    /// Everybody moves on.
    async fn step(&mut self, now: f64, dt_s: f64) -> Result<()> {
        self.try_the_door(now);
        let may_pass = self.through.as_ref().is_some_and(|through| !through.turns_back);
        match self.queue.step(now, dt_s, may_pass) {
            Step::Passed => self.passed().await,
            _ if self.through.as_ref().is_some_and(|t| t.turns_back && t.beams.is_finished()) => self.is_back().await,
            Step::Left if self.through.is_none() => {
                self.outcome.left.extend(self.queue.leave().map(|body| self.left(&body)));
                self.code = None;
                Ok(())
            }
            Step::Left | Step::Nothing => Ok(()),
        }
    }

    /// The first one goes through as soon as the door is open for him; it may still be from the one before.
    fn try_the_door(&mut self, now: f64) {
        self.open_since = if self.gate.aisle.is_open() { self.open_since.or(Some(now)) } else { None };
        let is_wide = self.open_since.is_some_and(|since| now >= since + DOOR_S);
        if self.through.is_some() || !is_wide || !self.queue.is_at_the_line() {
            return;
        }
        let (is_tailgated, first) = (self.queue.has_tailgater(), self.queue.first());
        let (Some(manner), Some(token)) = (first.map(|body| body.manner), self.gate.aisle.control(Controller::step_in))
        else {
            return;
        };
        let gait = match manner {
            Manner::TurnsBack => TURNS_BACK,
            _ if is_tailgated => TAILGATED,
            Manner::HasLuggage => WITH_LUGGAGE,
            _ => WALKS,
        };
        let aisle = self.gate.aisle.clone();
        let beams = tokio::spawn(async move { aisle.go(gait).await });
        let turns_back = manner == Manner::TurnsBack;
        self.through = Some(Through { token, beams, turns_back, is_tailgated: is_tailgated && !turns_back });
    }

    /// He is through, and whoever was at his heels.
    async fn passed(&mut self) -> Result<()> {
        let (Some(body), Some(through)) = (self.queue.leave(), self.through.take()) else { return Ok(()) };
        through.beams.await.context("the beams ended early")?;
        if through.is_tailgated {
            self.outcome.tailgaters += usize::from(self.queue.leave().is_some());
        }
        self.gate.aisle.control(|controller| controller.step_out(&through.token));
        self.code = None;
        let (who, means) = self.left(&body);
        self.outcome.crossed.push(Crossed { token: through.token, who, means });
        Ok(())
    }

    /// He stepped in, and is out again on this side.
    async fn is_back(&mut self) -> Result<()> {
        let Some(through) = self.through.take() else { return Ok(()) };
        through.beams.await.context("the beams ended early")?;
        self.gate.aisle.control(|controller| controller.step_out(&through.token));
        self.outcome.turned_back.push(through.token);
        self.queue.leave();
        self.code = None;
        Ok(())
    }

    fn left(&self, body: &Body) -> (usize, Means) {
        (self.line.turns[body.turn].who, body.means)
    }

    fn show_nobody(&mut self) -> Result<()> {
        let frame = self.camera.nobody()?;
        self.gate.show_one(&frame)
    }

    /// What the camera sees now.
    fn show(&mut self, now: f64) -> Result<()> {
        let Some(body) = self.queue.in_view() else { return self.show_nobody() };
        let turn = &self.line.turns[body.turn];
        if !body.shows_code(now) {
            let mut frame = turn.walk_up.at(body.metres + sways_m(now)).to_vec();
            // Behind the end of the picture, where no decoder looks: a sensor's noise makes each a new one.
            frame.extend(rand::random::<[u8; 8]>());
            return self.gate.show_one(&frame);
        }
        if self.code.is_none() {
            let phone = &self.walkers.get(turn.who).phone;
            let text = phone::fresh_code(phone, SystemClock::new().now());
            let picture = QrCode::with_error_correction_level(&text, EcLevel::L)?;
            let picture = picture.render::<Luma<u8>>().quiet_zone(true).build();
            self.code = Some(self.camera.code(&picture)?);
        }
        let mut frame = self.code.clone().unwrap_or_default();
        frame.extend(rand::random::<[u8; 8]>());
        self.gate.show_one(&frame)
    }
}

/// Nobody stands quite still: to and fro, in metres.
fn sways_m(now_s: f64) -> f64 {
    0.06 * (2.1 * now_s).sin()
}

/// Collects decisions, and tells of each refusal of a face.
async fn look_at_screen(gate: Gate, refused: mpsc::Sender<()>) -> Vec<Decision> {
    let (mut decisions, mut seen) = (Vec::new(), 0);
    while !refused.is_closed() {
        // A look that fails is made again.
        if let Ok(screen) = gate.screen().await {
            let mut new: Vec<Decision> = screen.decisions.into_iter().filter(|d| d.number > seen).collect();
            new.sort_by_key(|decision| decision.number);
            for decision in new {
                seen = decision.number;
                if decision.kind == "refused" {
                    let _ = refused.try_send(());
                }
                decisions.push(decision);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    decisions
}
