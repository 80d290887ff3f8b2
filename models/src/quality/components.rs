//! The quality components of ISO/IEC 29794-5: each measured value mapped to 0 (useless) to 100 (as good as it gets).

use serde::Serialize;

use super::Quality;

/// One quality component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Component {
    /// As OFIQ names it.
    pub name: &'static str,
    /// The measured value, in `unit`.
    pub raw: f32,
    pub unit: &'static str,
    /// 0 to 100.
    pub value: f32,
}

/// 0 at `none`, 100 at `full`, straight in between; either may be the larger.
fn ramp(raw: f32, none: f32, full: f32) -> f32 {
    100.0 * ((raw - none) / (full - none)).clamp(0.0, 1.0)
}

impl Quality {
    /// Every component. Ends of the ramps: 100 is what nearly all of LFW reaches, 0 is what cannot be recognised.
    pub fn components(&self) -> [Component; 12] {
        let component = |name, raw, unit, value| Component { name, raw, unit, value };
        let (share, nose) = ("share of the face's pixels", "half eye distances");
        let light = ramp(self.exposure, 0.04, 0.2).min(ramp(self.exposure, 1.0, 0.85));
        let light_sides = "difference over sum";
        [
            component("InterEyeDistance", self.inter_eye_px, "pixels", ramp(self.inter_eye_px, 0.0, 32.0)),
            component("HeadPoseYaw", self.yaw, nose, ramp(self.yaw.abs(), 1.0, 0.5)),
            component("HeadPosePitch", self.pitch, "of eye to mouth line", ramp((self.pitch - 0.56).abs(), 0.4, 0.12)),
            component("HeadPoseRoll", self.roll_deg, "degrees", ramp(self.roll_deg.abs(), 60.0, 20.0)),
            component("Sharpness", self.sharpness, "Laplacian over deviation", ramp(self.sharpness, 0.0, 0.2)),
            component("LuminanceMean", self.exposure, "of white", light),
            component("UnderExposurePrevention", self.under_exposed, share, ramp(self.under_exposed, 0.9, 0.3)),
            component("OverExposurePrevention", self.over_exposed, share, ramp(self.over_exposed, 0.6, 0.1)),
            component("DynamicRange", self.dynamic_range, "bits", ramp(self.dynamic_range, 2.0, 6.0)),
            component("IlluminationUniformity", self.uneven_light, light_sides, ramp(self.uneven_light, 0.9, 0.4)),
            component("EyesVisible", self.eye_light, "of the cheeks' brightness", self.eyes_visible()),
            component("MouthOcclusionPrevention", self.mouth_texture, "of the brightness", self.mouth_visible()),
        ]
    }

    /// Eyes are covered where they are both dark and without contrast: shade leaves contrast, weak light both.
    pub(super) fn eyes_visible(&self) -> f32 {
        ramp(self.eye_light, 0.3, 0.6).max(ramp(self.eye_contrast, 0.07, 0.13))
    }

    /// A mouth is covered by what has no edges at all, or few and no skin's redness: beards have edges.
    pub(super) fn mouth_visible(&self) -> f32 {
        let red_or_edged = ramp(self.mouth_redness, -20.0, -8.0).max(ramp(self.mouth_texture, 0.1, 0.18));
        ramp(self.mouth_texture, 0.02, 0.08).min(red_or_edged)
    }

    /// The unified score, 0 to 100: the lowest component, as one fault spoils a face however good the rest is.
    pub fn unified(&self) -> f32 {
        // Written so that what is no number counts as the worst.
        self.components().iter().fold(100.0, |least, c| if c.value >= least { least } else { c.value.max(0.0) })
    }

    /// How much this face counts beside others of the same person, above 0 up to 1.
    ///
    /// The ramps are full for most acceptable faces, which so count alike: weighing all of them by size, detail and
    /// pose made fusions of three on LFW worse (d′ 9.94; 10.15 with this weight, 10.17 with none). It is for the frame
    /// that is far worse than the others, which LFW's press photographs hardly have.
    pub fn weight(&self) -> f32 {
        (self.unified() / 100.0).max(0.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_have_distinct_names_and_lie_within_their_range() {
        let extremes = [
            Quality::default(),
            Quality { inter_eye_px: 1e9, sharpness: -1.0, exposure: 7.0, pitch: -9.0, ..Quality::default() },
            Quality { mouth_texture: 9.0, mouth_redness: -999.0, eye_light: -1.0, ..Quality::default() },
        ];
        for quality in extremes {
            let components = quality.components();
            assert!(components.iter().all(|c| (0.0..=100.0).contains(&c.value)));
            let names: std::collections::BTreeSet<_> = components.iter().map(|c| c.name).collect();
            assert_eq!(names.len(), components.len());
        }
    }

    #[test]
    fn the_worst_component_is_the_score_and_what_is_no_number_counts_least() {
        assert!((Quality::default().weight() - 1.0).abs() < 1e-6);
        let small = Quality { inter_eye_px: 16.0, ..Quality::default() };
        assert!((small.unified() - 50.0).abs() < 1e-3);
        let worse = Quality { sharpness: 0.05, ..small };
        assert!((worse.unified() - 25.0).abs() < 1e-3);
        for broken in [Quality { yaw: f32::NAN, ..small }, Quality { dynamic_range: f32::NAN, ..small }] {
            assert!((broken.weight() - 0.1).abs() < 1e-6);
        }
    }
}
