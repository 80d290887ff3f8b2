//! About one rider: whether a face is that of the rider whom a code names, and whether he is inside.

use std::sync::PoisonError;

use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_domain::score::Similarity;

use super::{Gallery, GalleryError};

/// What one rider's templates say about a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verified {
    /// The best of them.
    pub similarity: Similarity,
    /// The chance that somebody else is so like him.
    pub false_match: f64,
    /// That is within what the operator allows.
    pub is_his: bool,
}

impl Gallery {
    /// Whether an entry of his has not ended, as far as was told.
    pub fn is_inside(&self, rider: RiderId) -> bool {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).is_inside(rider)
    }

    /// Whether this is the face of a rider who is named otherwise (by his code): one against one. `None`: nobody is
    /// enrolled under this name.
    pub fn verify_claim(
        &self,
        probe: &Embedding,
        frames: u32,
        rider: RiderId,
    ) -> Result<Option<Verified>, GalleryError> {
        let model = self.of(probe)?;
        let Some((similarity, templates)) = model.best_of(probe, rider)? else { return Ok(None) };
        // Nobody asks which of the levels his templates have: the one counts that makes least of the score.
        let levels = model.calibration().met_by(frames.max(1));
        let share = levels.iter().map(|evidence| evidence.impostor_share(similarity)).fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "templates of one rider")]
        let false_match = (share * templates as f64).min(1.0);
        let is_his = false_match <= self.settings.claim_false_match_max;
        Ok(Some(Verified { similarity, false_match, is_his }))
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::face::Template;
    use facegate_domain::ids::{ModelId, TemplateId};

    use super::*;
    use crate::calibration::shipped;
    use crate::settings::DecisionSettings;

    fn face(along: f32, aside: usize) -> Embedding {
        let mut values = vec![0.0; 128];
        (values[0], values[aside]) = (along, (1.0 - along * along).sqrt());
        Embedding::normalise(ModelId::new("sface-2021dec").unwrap(), values).unwrap()
    }

    #[test]
    fn a_claim_needs_less_likeness_than_a_search_and_more_the_more_templates_he_has() {
        let calibration = shipped(&ModelId::new("sface-2021dec").unwrap()).unwrap();
        let mut settings = DecisionSettings::default();
        let verified = |settings: &DecisionSettings, templates: usize, likeness: f32| {
            let (gallery, rider) = (Gallery::new(128, calibration.clone(), settings.clone()), RiderId::random());
            for n in 0..templates {
                let embedding = if n == 0 { face(1.0, 1) } else { face(0.0, n + 1) };
                gallery.put(&Template { id: TemplateId::random(), rider, embedding, photographs: 1 }).unwrap();
            }
            assert_eq!(gallery.verify_claim(&face(likeness, 100), 1, RiderId::random()).unwrap(), None);
            gallery.verify_claim(&face(likeness, 100), 1, rider).unwrap().unwrap()
        };
        let (one, three) = (verified(&settings, 1, 0.9), verified(&settings, 3, 0.9));
        assert!(one.is_his && three.false_match >= one.false_match, "{one:?} {three:?}");
        let other = verified(&settings, 1, 0.0);
        assert!(!other.is_his && other.false_match > 0.01, "{other:?}");
        settings.claim_false_match_max = one.false_match / 2.0;
        assert!(!verified(&settings, 1, 0.9).is_his, "the operator asks for more");
    }
}
