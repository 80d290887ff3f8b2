//! Who walks: people of a set of photographs, some of them enrolled with a few of theirs, all walking as another.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_models::enrolment::{capture, enrol};
use facegate_models::{FaceEngine, QualityPolicy};
use image::RgbImage;
use image::imageops::FilterType;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::people::{People, Portrait};

/// Photographs that somebody is enrolled with at most; he walks as one of the others.
const ENROLLED_WITH_MAX: usize = 3;
/// Photographs with more between the eyes are made smaller.
const INTER_EYE_PX_MAX: f32 = 72.0;

/// One photograph of somebody as he walks: its pixels, where his face is, and its embedding.
pub struct Look {
    pub pixels: RgbImage,
    /// The middle between the eyes.
    pub eyes: (f32, f32),
    pub inter_eye_px: f32,
    pub embedding: Embedding,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Look({}×{})", self.pixels.width(), self.pixels.height())
    }
}

/// Somebody.
#[derive(Debug)]
pub struct Person {
    /// What he is enrolled as; none: his face is not.
    pub template: Option<Template>,
    /// Never empty, and none that he is enrolled with.
    pub looks: Vec<Look>,
}

/// Everybody of the set.
#[derive(Debug)]
pub struct Everybody {
    pub people: Vec<Person>,
    /// Photographs without a face that may be enrolled or searched.
    pub failed: usize,
    /// What was embedded, for the likeness of the riders who are made up.
    pub embeddings: Vec<Embedding>,
}

impl Everybody {
    /// By the places in `people` of those who are enrolled, and of the others.
    pub fn by_enrolment(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.people.len()).partition(|place| self.people[*place].template.is_some())
    }

    /// Of a tar of folders, one to a person. Half of those who have two photographs or more are enrolled.
    pub fn of_tar(engine: &FaceEngine, path: &Path, photographs_max: usize, seed: u64) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut by_person: BTreeMap<String, Vec<Portrait>> = BTreeMap::new();
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let is_picture = path.extension().is_some_and(|extension| extension == "jpg" || extension == "png");
            let person = path.parent().and_then(Path::file_name).filter(|_| is_picture);
            if let Some(person) = person.map(|name| name.to_string_lossy().into_owned()) {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                by_person.entry(person).or_default().push(Portrait { file: path.display().to_string(), bytes });
            }
        }
        let mut people: Vec<Vec<Portrait>> = by_person.into_values().collect();
        let mut random = StdRng::seed_from_u64(seed);
        people.shuffle(&mut random);
        let mut left = photographs_max;
        people.retain(|photographs| {
            let fits = photographs.len() <= left;
            left -= if fits { photographs.len() } else { 0 };
            fits
        });
        let mut several = 0;
        let people = people.into_iter().map(|photographs| {
            several += usize::from(photographs.len() > 1);
            let enrolled = photographs.len() > 1 && several % 2 == 1;
            (if enrolled { (photographs.len() - 1).min(ENROLLED_WITH_MAX) } else { 0 }, photographs)
        });
        Self::of(engine, people, &mut random)
    }

    /// The demo's people.
    pub fn of_demo(engine: &FaceEngine, folder: &Path, seed: u64) -> Result<Self> {
        let People { riders, strangers } = People::load(folder)?;
        let people = riders.into_iter().map(|(enrolled, walks)| (1, vec![enrolled, walks]));
        let strangers = strangers.into_iter().map(|portrait| (0, vec![portrait]));
        Self::of(engine, people.chain(strangers), &mut StdRng::seed_from_u64(seed))
    }

    /// Each with the number of photographs that he is enrolled with.
    fn of(
        engine: &FaceEngine,
        people: impl Iterator<Item = (usize, Vec<Portrait>)>,
        random: &mut StdRng,
    ) -> Result<Self> {
        let mut all = Self { people: Vec::new(), failed: 0, embeddings: Vec::new() };
        for (enrolled_with, photographs) in people {
            let (enrolled, walks) = photographs.split_at(enrolled_with);
            let template = all.template(engine, enrolled, random);
            let looks: Vec<Look> = walks.iter().filter_map(|portrait| look(engine, portrait)).collect();
            all.failed += walks.len() - looks.len();
            all.embeddings.extend(looks.iter().map(|look| look.embedding.clone()));
            if !looks.is_empty() {
                all.people.push(Person { template, looks });
            }
            if all.people.len().is_multiple_of(500) {
                eprintln!("{} people are known…", all.people.len());
            }
        }
        ensure!(all.people.len() > 1, "there are no people to walk");
        Ok(all)
    }

    /// As the enrolment does it; none if it would refuse him.
    fn template(&mut self, engine: &FaceEngine, photographs: &[Portrait], random: &mut StdRng) -> Option<Template> {
        let policy = QualityPolicy::default();
        let bytes: Vec<&[u8]> = photographs.iter().map(|portrait| portrait.bytes.as_slice()).collect();
        let enrolment = (!bytes.is_empty()).then(|| enrol(&bytes, |bytes| capture(engine, bytes, &policy)))?.ok();
        self.failed += usize::from(enrolment.is_none());
        let enrolment = enrolment?;
        let (id, rider) = (TemplateId::from_bytes(random.random()), RiderId::from_bytes(random.random()));
        Some(Template { id, rider, embedding: enrolment.embedding, photographs: enrolment.photographs })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
fn look(engine: &FaceEngine, portrait: &Portrait) -> Option<Look> {
    let frame = engine.decode(&portrait.bytes).ok()?;
    let face = *engine.analyse(&frame).ok()?.first()?;
    let embedding = engine.embed(&frame, &face).ok()?;
    let pixels = image::load_from_memory(&portrait.bytes).ok()?.into_rgb8();
    let inter_eye_px = face.quality.inter_eye_px;
    // No camera is shown more than this of him.
    let shrink = (INTER_EYE_PX_MAX / inter_eye_px).min(1.0);
    let side = |length: u32| (length as f32 * shrink) as u32;
    let pixels = if shrink < 1.0 {
        image::imageops::resize(&pixels, side(pixels.width()), side(pixels.height()), FilterType::CatmullRom)
    } else {
        pixels
    };
    let [right, left] = [face.landmarks[0], face.landmarks[1]];
    let eyes = ((left.x + right.x) / 2.0 * shrink, (left.y + right.y) / 2.0 * shrink);
    Some(Look { pixels, eyes, inter_eye_px: inter_eye_px * shrink, embedding })
}
