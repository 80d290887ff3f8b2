//! Riders for the sync bench: coordinates of unequal spread, as real embeddings have them; made from their number.

use anyhow::Result;
use facegate_cloud_sync::store::{Consent, Imported, Profile, Purpose};
use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub const DIMS: usize = 128;
pub const MODEL: &str = "sface-2021dec";

/// The rider with this number, whole.
pub fn rider(number: u64, now: Timestamp) -> Result<Imported> {
    let mut rng = SmallRng::seed_from_u64(number ^ 0x5eed_0000_0000_0000);
    let rider = RiderId::from_bytes(rng.random());
    let id = TemplateId::from_bytes(rng.random());
    let embedding = Embedding::normalise(ModelId::new(MODEL)?, face(&mut rng))?;
    Ok(Imported {
        rider,
        profile: Profile { display_name: format!("Rider {number}") },
        consent: Consent {
            purpose: Purpose::Recognition,
            text_version: "bench".to_owned(),
            channel: "bench".to_owned(),
            given_at: now,
        },
        template: Template { id, rider, embedding, photographs: 3 },
    })
}

/// Box–Muller, the spread falling from the first coordinate to the last as the measured eigenvalues do: by about two.
fn face(rng: &mut SmallRng) -> Vec<f32> {
    let mut values = Vec::with_capacity(DIMS);
    for pair in 0..DIMS / 2 {
        let radius = (-2.0 * rng.random::<f32>().max(f32::MIN_POSITIVE).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let spread = 1.0 - 0.5 * pair as f32 / (DIMS / 2) as f32;
        values.extend([radius * cos * spread, radius * sin * spread]);
    }
    values
}
