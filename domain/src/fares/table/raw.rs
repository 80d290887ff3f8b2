//! The fare table's file as it is written.

use jiff::civil::Date;
use serde::Deserialize;

use crate::fares::rules::{
    Autofill, Cap, Category, Discount, Interchange, Overstay, Pass, RawWaiver, Repairs, SameStation, Transfer,
};
use crate::money::Rounding;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub name: String,
    pub valid_from: String,
    pub currency: String,
    pub maximum_fare_minor: i64,
    pub zone: Option<String>,
    pub day_starts_at: Option<String>,
    #[serde(default)]
    pub holidays: Vec<Date>,
    pub rounds_to_minor: Option<u32>,
    pub rounding: Option<Rounding>,
    pub fastest_kmh: Option<u32>,
    #[serde(default)]
    pub station: Vec<RawStation>,
    #[serde(default)]
    pub link: Vec<RawLink>,
    #[serde(default)]
    pub band: Vec<RawBand>,
    #[serde(default)]
    pub product: Vec<RawProduct>,
    #[serde(default)]
    pub interchange: Vec<Interchange>,
    #[serde(default)]
    pub transfer: Vec<Transfer>,
    #[serde(default)]
    pub same_station: Vec<SameStation>,
    #[serde(default)]
    pub overstay: Vec<Overstay>,
    pub autofill: Option<Autofill>,
    pub repairs: Option<Repairs>,
    #[serde(default)]
    pub category: Vec<Category>,
    #[serde(default)]
    pub discount: Vec<Discount>,
    #[serde(default)]
    pub cap: Vec<Cap>,
    #[serde(default)]
    pub pass: Vec<Pass>,
    #[serde(default)]
    pub waiver: Vec<RawWaiver>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStation {
    pub id: String,
    pub name: Option<String>,
    #[serde(default)]
    pub zones: Vec<u8>,
    #[serde(default)]
    pub areas: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLink {
    pub from: String,
    pub to: String,
    pub metres: i64,
    pub line: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBand {
    pub from_m: i64,
    pub up_to_m: Option<i64>,
    pub price_minor: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawZonePrice {
    pub from: u8,
    pub to: u8,
    pub price_minor: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProduct {
    pub name: String,
    pub group: Option<String>,
    pub category: Option<String>,
    pub lines: Option<Vec<String>>,
    #[serde(default)]
    pub without_lines: Vec<String>,
    pub from_areas: Option<Vec<String>>,
    #[serde(default)]
    pub without_from_areas: Vec<String>,
    pub to_areas: Option<Vec<String>>,
    #[serde(default)]
    pub without_to_areas: Vec<String>,
    #[serde(default)]
    pub when: Vec<String>,
    #[serde(default)]
    pub until: Vec<String>,
    pub flat_minor: Option<i64>,
    #[serde(default)]
    pub band: Vec<RawBand>,
    #[serde(default)]
    pub zone: Vec<RawZonePrice>,
}
