//! Passages without pictures: embeddings of real photographs, made once, asked of the station as a gate asks, a hundred
//! thousand times.

use std::sync::Arc;

use anyhow::Result;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::Direction;
use facegate_proto::convert::gate::direction_to_wire;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::Role;
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::people::Everybody;
use super::place::{ASKING_GATE, Place};

/// Questions under way at once.
const AT_ONCE: usize = 32;
/// What a gate says of a probe: fused of so many frames. Here it is of one photograph alone, which is less than it says.
const FRAMES: u32 = 8;

/// What came of them.
#[derive(Debug, Default)]
pub struct Passages {
    pub asked: usize,
    pub not_enrolled: usize,
    pub distinct_strangers: usize,
    pub granted: usize,
    /// Somebody else's account would have been charged.
    pub false_charges: usize,
}

/// `strangers`: the share of passers-by who are not enrolled, from and to; it changes by the hour.
pub async fn pass(
    place: &Place,
    all: &Arc<Everybody>,
    count: usize,
    strangers: (f64, f64),
    seed: u64,
) -> Result<Passages> {
    let identity = place.certificates.identity(Role::Gate, ASKING_GATE)?;
    let uri = format!("https://{}", place.station);
    let line = channel(&identity, &uri, Role::Station, ChannelOptions::default())?;
    let (enrolled, others) = all.by_enrolment();
    let mut random = StdRng::seed_from_u64(seed ^ 0x6361_6368);
    let mut asked = Vec::with_capacity(count);
    for n in 0..count {
        #[expect(clippy::cast_precision_loss, reason = "a count of passages")]
        let hour = (n as f64 / count as f64 * std::f64::consts::TAU).sin() / 2.0 + 0.5;
        let is_stranger = random.random_bool(strangers.0 + (strangers.1 - strangers.0) * hour);
        let people = if is_stranger { &others } else { &enrolled };
        let person = people[random.random_range(0..people.len())];
        let look = random.random_range(0..all.people[person].looks.len());
        let direction = if random.random_bool(0.5) { Direction::Entry } else { Direction::Exit };
        asked.push((person, look, direction));
    }
    let mut passages = Passages { asked: count, ..Passages::default() };
    let mut distinct = std::collections::BTreeSet::new();
    let mut answers = futures::stream::iter(asked.into_iter().map(Ok::<_, anyhow::Error>))
        .map_ok(|(person, look, direction)| {
            let (line, all) = (line.clone(), Arc::clone(all));
            async move {
                let probe = probe_to_wire(&all.people[person].looks[look].embedding, FRAMES);
                let direction = direction_to_wire(direction).into();
                let request = v1::IdentifyRequest { probe: Some(probe), direction, refusal_level: Refusal::LEVEL };
                let answer = StationServiceClient::new(line).identify(request).await?.into_inner();
                Ok((person, Answer::try_from(answer)?))
            }
        })
        .try_buffer_unordered(AT_ONCE);
    let mut answered = 0;
    while let Some((person, answer)) = answers.try_next().await? {
        let template = all.people[person].template.as_ref();
        if template.is_none() {
            passages.not_enrolled += 1;
            distinct.insert(person);
        }
        if let Answer::Granted { rider, .. } = answer {
            passages.granted += 1;
            let is_his = template.is_some_and(|template| template.rider == rider);
            passages.false_charges += usize::from(!is_his);
        }
        answered += 1;
        if answered % 10_000 == 0 {
            eprintln!(
                "{answered} of {count} cached passages, {} granted, {} falsely",
                passages.granted, passages.false_charges
            );
        }
    }
    passages.distinct_strangers = distinct.len();
    Ok(passages)
}
