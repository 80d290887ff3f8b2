//! One of the crowd: how he was enrolled, what he shows at a gate, and the rides that he really made.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use facegate_domain::code::Phone;
use facegate_models::FaceEngine;
use facegate_runtime::clock::{Clock, SystemClock};

use crate::app::{Account, MetroApp};
use crate::demo::story::By;
use crate::people::{Portrait, walk_up};
use crate::phone;

/// Frames of one walk-up.
const FRAMES: usize = 12;
/// Frames for which a phone is held up.
const CODE_FRAMES: usize = 4;
/// The most that can be paid in at once: a wallet that runs dry would make a declined charge, and that is no fault.
const TOP_UP_MINOR: i64 = 1_000_000;

/// A ride as the bodies tell it: through which stations' beams, and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ride {
    pub from: String,
    pub to: String,
    pub by_in: &'static str,
    pub by_out: &'static str,
}

/// A rider with his phone; some are enrolled by face too.
#[derive(Debug)]
pub struct Passenger {
    pub label: String,
    pub id: String,
    /// The acquirer's token that he pays with; none: by wallet.
    pub card: Option<String>,
    phone: Phone,
    walk_up: Option<Vec<Vec<u8>>>,
    rides: Mutex<Vec<Ride>>,
}

impl Passenger {
    /// Enrols the next passenger; `face` is the photograph that he is enrolled with and the one that he walks as.
    pub async fn enrol(
        app: &MetroApp,
        engine: &FaceEngine,
        number: usize,
        face: Option<&(Portrait, Portrait)>,
    ) -> Result<Self> {
        let label = format!("passenger {number}");
        let id = app.create_rider(&label).await?;
        if let Some((enrolled, _)) = face {
            app.consent(&id).await?;
            app.enrol_face(&id, &enrolled.bytes).await?;
        }
        let card = (number % 2 == 1).then(|| format!("tok_ok_crowd_{number}"));
        let account = match &card {
            Some(token) => Account::Acquirer { token: token.clone() },
            None => Account::Wallet { top_up_minor: TOP_UP_MINOR },
        };
        app.bind_account(&id, &account).await?;
        let secret = phone::new_secret();
        let certificate = app.certify_phone(&id, &Phone::public_key(&secret)).await?;
        let walk_up = face.map(|(_, walks_as)| walk_up(engine, walks_as, FRAMES)).transpose()?;
        let phone = phone::phone(&secret, certificate);
        Ok(Self { label, id, card, phone, walk_up, rides: Mutex::default() })
    }

    pub fn has_face(&self) -> bool {
        self.walk_up.is_some()
    }

    /// What the gate's camera sees of him: never twice the same picture, as a sensor's noise sees to in life.
    pub fn frames(&self, by: By) -> Result<Vec<Vec<u8>>> {
        let mut frames = match (by, &self.walk_up) {
            (By::Face, Some(walk_up)) => walk_up.clone(),
            _ => {
                let code = phone::fresh_code(&self.phone, SystemClock::new().now());
                vec![phone::code_frame(&code)?; CODE_FRAMES]
            }
        };
        // Behind the end of the picture, where no decoder looks.
        frames.iter_mut().for_each(|frame| frame.extend(rand::random::<[u8; 8]>()));
        Ok(frames)
    }

    pub fn rode(&self, ride: Ride) {
        self.lock().push(ride);
    }

    /// His rides so far, in order.
    pub fn rides(&self) -> Vec<Ride> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ride>> {
        self.rides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
