//! The whole pipeline on the real models and the six credited portraits.
//!
//! Nothing is skipped: without the fetched files these tests fail and say what to run.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod bad_input;
mod formats;
mod mesh;
mod on_disk;
mod other_embedder;
mod people;
mod providers;
mod texture;

use std::io::Cursor;
use std::sync::OnceLock;

use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine};
use image::{ImageFormat, RgbImage};

const PEOPLE: [&str; 6] = ["person_a_1", "person_a_2", "person_b_1", "person_b_2", "impostor_1", "impostor_2"];

/// One engine for all tests, as a server has one for all its gates.
fn engine() -> &'static FaceEngine {
    static ENGINE: OnceLock<FaceEngine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let models = Home::from_env().models_dir();
        FaceEngine::load(&models, EngineOptions::default()).unwrap_or_else(|e| panic!("{e}"))
    })
}

fn portrait_bytes(name: &str) -> Vec<u8> {
    let path = Home::from_env().people_dir().join(format!("{name}.jpg"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}: run `cargo xtask models`", path.display()))
}

fn portrait(name: &str) -> RgbImage {
    image::load_from_memory(&portrait_bytes(name)).unwrap().into_rgb8()
}

fn encoded(pixels: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
