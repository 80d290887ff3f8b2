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

use super::queue::{Body, DOOR_S, Means, Queue, Step};
use super::scene::Camera;
use super::walkers::Walkers;
use crate::aisle::WALKS;
use crate::aisle::controller::Controller;
use crate::city::{Decision, Gate};
use crate::phone;

/// Of a camera with 15 frames a second.
const FRAME_EVERY: Duration = Duration::from_millis(66);
/// How often the screen is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who comes through an aisle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Enrolled riders, who look and walk.
    Face,
    /// Enrolled ones by face, some with the phone in their hand; most are not enrolled and show a code.
    Mixed,
    /// Nobody enrolled, everybody with a code.
    Code,
    /// Nobody enrolled; one in three has a code, the others try all the same.
    Strangers,
}

impl Stream {
    pub const ALL: [Self; 4] = [Self::Face, Self::Mixed, Self::Code, Self::Strangers];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Mixed => "mixed",
            Self::Code => "code",
            Self::Strangers => "strangers",
        }
    }

    pub const fn direction(self) -> &'static str {
        match self {
            Self::Face | Self::Mixed => "exit",
            Self::Code | Self::Strangers => "entry",
        }
    }

    fn next(self, walkers: &Walkers, random: &mut StdRng) -> Body {
        let enrolled = match self {
            Self::Face => true,
            Self::Mixed => random.random_bool(0.12),
            Self::Code | Self::Strangers => false,
        };
        let (means, has_phone) = match self {
            Self::Face => (Means::Face, true),
            Self::Mixed if enrolled && random.random_bool(0.25) => (Means::Both, true),
            Self::Mixed if enrolled => (Means::Face, true),
            Self::Mixed | Self::Code => (Means::Code, true),
            Self::Strangers if random.random_bool(0.33) => (Means::Code, true),
            Self::Strangers => (Means::Neither, false),
        };
        let who = if enrolled { walkers.an_enrolled(random) } else { walkers.a_stranger(random) };
        Body::new(who, means, has_phone, random)
    }
}

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
    /// Those who turned back.
    pub left: Vec<(usize, Means)>,
    pub decisions: Vec<Decision>,
    pub minutes: f64,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "a count of people")]
    pub fn per_minute(&self) -> f64 {
        self.crossed.len() as f64 / self.minutes
    }
}

struct Aisle {
    gate: Gate,
    walkers: Arc<Walkers>,
    camera: Camera,
    queue: Queue,
    /// Since when the door has been open, if it is.
    open_since: Option<f64>,
    /// The first one's way through, and the authorisation that he goes under.
    through: Option<(String, JoinHandle<()>)>,
    /// The code on the phone of the first one.
    code: Option<Vec<u8>>,
}

/// Lets people walk for so long.
pub async fn walk(gate: Gate, stream: Stream, walkers: Arc<Walkers>, length: Duration, seed: u64) -> Result<Outcome> {
    let mut random = StdRng::seed_from_u64(seed);
    let (told, mut refusals) = mpsc::channel(64);
    let looking = tokio::spawn(look_at_screen(gate.clone(), told));
    let (camera, queue) = (Camera::new()?, Queue::default());
    let mut aisle = Aisle { gate, walkers, camera, queue, open_since: None, through: None, code: None };
    let (mut crossed, mut left) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut ticks = interval(FRAME_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = 0.0;
    // Who is between the beams in the end goes on to their end.
    while begun.elapsed() < length || aisle.through.is_some() {
        ticks.tick().await;
        let now = begun.elapsed().as_secs_f64();
        if aisle.queue.has_room() {
            aisle.queue.comes(stream.next(&aisle.walkers, &mut random));
        }
        while refusals.try_recv().is_ok() {
            if let Some(first) = aisle.queue.first() {
                first.is_refused(now);
            }
        }
        aisle.try_the_door(now);
        match aisle.queue.step(now, now - last, aisle.through.is_some()) {
            Step::Passed => crossed.extend(aisle.passed().await?),
            Step::Left => {
                left.extend(aisle.queue.leave().map(|body| (body.who, body.means)));
                aisle.code = None;
            }
            Step::Nothing => {}
        }
        last = now;
        aisle.show(now)?;
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    // The last decisions are on the screen by then.
    tokio::time::sleep(LOOK_EVERY * 2).await;
    drop(refusals);
    let decisions = looking.await.context("the look at the screen ended early")?;
    Ok(Outcome { stream, crossed, left, decisions, minutes })
}

impl Aisle {
    /// The first one goes through as soon as the door is open for him; it may still be from the one before.
    fn try_the_door(&mut self, now: f64) {
        self.open_since = if self.gate.aisle.is_open() { self.open_since.or(Some(now)) } else { None };
        let is_wide = self.open_since.is_some_and(|since| now >= since + DOOR_S);
        if self.through.is_none() && is_wide && self.queue.is_at_the_line() {
            let token = self.gate.aisle.control(Controller::step_in);
            let aisle = self.gate.aisle.clone();
            self.through = token.map(|token| (token, tokio::spawn(async move { aisle.go(WALKS).await })));
        }
    }

    /// He is through.
    async fn passed(&mut self) -> Result<Option<Crossed>> {
        let (Some(body), Some((token, beams))) = (self.queue.leave(), self.through.take()) else { return Ok(None) };
        beams.await.context("the beams ended early")?;
        self.gate.aisle.control(|controller| controller.step_out(&token));
        self.code = None;
        Ok(Some(Crossed { token, who: body.who, means: body.means }))
    }

    /// What the camera sees now.
    fn show(&mut self, now: f64) -> Result<()> {
        let Some(body) = self.queue.in_view() else {
            let frame = self.camera.frame(&[])?;
            return self.gate.show_one(&frame);
        };
        let walker = self.walkers.get(body.who);
        if !body.shows_code(now) {
            let mut frame = walker.walk_up.at(body.metres).to_vec();
            // Behind the end of the picture, where no decoder looks: a sensor's noise makes each a new one.
            frame.extend(rand::random::<[u8; 8]>());
            return self.gate.show_one(&frame);
        }
        if self.code.is_none() {
            let text = phone::fresh_code(&walker.phone, SystemClock::new().now());
            let picture = QrCode::with_error_correction_level(&text, EcLevel::L)?;
            let picture = picture.render::<Luma<u8>>().quiet_zone(true).build();
            self.code = Some(self.camera.code(&picture)?);
        }
        let mut frame = self.code.clone().unwrap_or_default();
        frame.extend(rand::random::<[u8; 8]>());
        self.gate.show_one(&frame)
    }
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
