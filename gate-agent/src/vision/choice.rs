//! Which of the faces in a frame counts.

use facegate_models::{FaceObservation, QualityPolicy, QualityProblem};

use super::FaceLook;
use crate::intent::Intention;

/// Which faces count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FacePolicy {
    pub quality: QualityPolicy,
    /// Faces with less between the eyes belong to passers-by.
    pub near_px_min: f32,
    /// A second face of at least this share of the largest one's area makes several.
    pub several_area_ratio: f32,
}

/// The one face that counts, or why there is none. `faces` come largest first.
///
/// Somebody in the lane stands before all who are behind him, whatever he is up to: the door would open for one of them,
/// and he would go through it.
pub(super) fn choose<'f>(
    faces: &'f [FaceObservation],
    intentions: &[Intention],
    policy: &FacePolicy,
) -> Result<&'f FaceObservation, FaceLook> {
    let in_lane = faces.iter().zip(intentions).filter(|(_, i)| matches!(i, Intention::Coming | Intention::Passing));
    let in_lane: Vec<_> = in_lane.collect();
    let Some((nearest, intention)) = in_lane.first() else {
        return Err(if faces.is_empty() { FaceLook::Nobody } else { FaceLook::PasserBy });
    };
    if **intention == Intention::Passing || nearest.quality.inter_eye_px < policy.near_px_min {
        return Err(FaceLook::PasserBy);
    }
    // Who is still coming up the aisle has others behind him that look hardly smaller.
    if nearest.quality.inter_eye_px < policy.quality.inter_eye_px_min {
        return Err(FaceLook::Poor(QualityProblem::TooSmall));
    }
    let rival = |face: &FaceObservation| face.bounds.area() >= nearest.bounds.area() * policy.several_area_ratio;
    if in_lane[1..].iter().any(|(face, intention)| **intention == Intention::Coming && rival(face)) {
        return Err(FaceLook::Several);
    }
    nearest.quality.verdict(&policy.quality).map_err(FaceLook::Poor)?;
    Ok(nearest)
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::DetectionConfidence;
    use facegate_models::{BoundingBox, Point, Quality};

    use super::*;

    /// A good face with so much between the eyes.
    fn face(inter_eye_px: f32) -> FaceObservation {
        let bounds = BoundingBox { left: 0.0, top: 0.0, width: inter_eye_px * 2.2, height: inter_eye_px * 2.2 };
        FaceObservation {
            bounds,
            landmarks: [Point { x: 0.0, y: 0.0 }; 5],
            confidence: DetectionConfidence::new(0.9).unwrap(),
            quality: Quality { inter_eye_px, ..Quality::default() },
        }
    }

    #[test]
    fn the_door_is_opened_for_nobody_who_has_somebody_else_before_him() {
        use Intention::{Coming, Outside, Passing, Still};
        let policy = FacePolicy { quality: QualityPolicy::default(), near_px_min: 14.0, several_area_ratio: 0.65 };
        type Row<'r> = (&'r str, &'r [(f32, Intention)], Result<usize, &'r str>);
        let table: [Row<'_>; 11] = [
            ("nobody", &[], Err("Nobody")),
            ("one comes", &[(60.0, Coming)], Ok(0)),
            ("another comes behind him", &[(60.0, Coming), (29.0, Coming)], Ok(0)),
            ("two abreast", &[(60.0, Coming), (50.0, Coming)], Err("Several")),
            ("one crosses before another who comes", &[(60.0, Passing), (40.0, Coming)], Err("PasserBy")),
            ("one leaves, another comes behind him", &[(60.0, Passing), (29.0, Coming)], Err("PasserBy")),
            ("somebody crosses behind", &[(60.0, Coming), (55.0, Passing)], Ok(0)),
            ("a large poster stands in nobody's way", &[(90.0, Still), (40.0, Coming)], Ok(1)),
            ("nor does who is in the next aisle", &[(90.0, Outside), (40.0, Coming)], Ok(1)),
            ("still far off", &[(20.0, Coming), (19.0, Coming)], Err("Poor(TooSmall)")),
            ("in the hall", &[(12.0, Coming)], Err("PasserBy")),
        ];
        for (what, people, expected) in table {
            let (faces, intentions): (Vec<_>, Vec<_>) = people.iter().map(|(px, i)| (face(*px), *i)).unzip();
            let chosen = choose(&faces, &intentions, &policy);
            let chosen = chosen.map(|face| faces.iter().position(|other| other == face).unwrap());
            assert_eq!(chosen.map_err(|look| format!("{look:?}")), expected.map_err(str::to_owned), "{what}");
        }
    }
}
