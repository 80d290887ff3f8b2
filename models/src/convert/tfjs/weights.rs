//! The binary file: every weight's values, taken apart by what `model.json` says of them.

use std::collections::HashMap;

use super::UnusableTfjs;
use super::topology::{WeightEntry, WeightGroup};

/// One constant tensor, in TensorFlow's order of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    pub dims: Vec<usize>,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

/// Every weight by name.
///
/// Errors: a kind of storage that is not read here, or a file that is shorter or longer than all of them.
pub fn read(groups: &[WeightGroup], bytes: &[u8]) -> Result<HashMap<String, Weight>, UnusableTfjs> {
    let mut rest = bytes;
    let mut weights = HashMap::new();
    for entry in groups.iter().flat_map(|g| &g.weights) {
        let values = take(entry, &mut rest)?;
        weights.insert(entry.name.clone(), Weight { dims: entry.shape.clone(), values });
    }
    if rest.is_empty() { Ok(weights) } else { Err(UnusableTfjs::WrongSize { left: rest.len() }) }
}

fn take(entry: &WeightEntry, rest: &mut &[u8]) -> Result<Values, UnusableTfjs> {
    let count: usize = entry.shape.iter().product();
    let stored = entry.quantization.as_ref().map_or(entry.dtype.as_str(), |q| q.dtype.as_str());
    let unknown = || UnusableTfjs::Storage { weight: entry.name.clone(), dtype: stored.to_owned() };
    let (scale, min) = match &entry.quantization {
        Some(q) => (q.scale.unwrap_or(1.0), q.min.unwrap_or(0.0)),
        None => (1.0, 0.0),
    };
    let level = |q: u16| (f64::from(q) * scale + min) as f32;
    let cut = |_: ()| UnusableTfjs::CutOff { weight: entry.name.clone() };
    match (entry.dtype.as_str(), stored) {
        ("float32", "float32") => chunks(rest, count).map(|c| Values::Floats(c.map(f32::from_le_bytes).collect())),
        ("float32", "float16") => {
            chunks(rest, count).map(|c| Values::Floats(c.map(|b| half(u16::from_le_bytes(b))).collect()))
        }
        ("float32", "uint16") => {
            chunks(rest, count).map(|c| Values::Floats(c.map(|b| level(u16::from_le_bytes(b))).collect()))
        }
        ("float32", "uint8") => chunks(rest, count).map(|c| Values::Floats(c.map(|[b]| level(u16::from(b))).collect())),
        ("int32", "int32") => chunks(rest, count).map(|c| Values::Ints(c.map(i32::from_le_bytes).collect())),
        _ => return Err(unknown()),
    }
    .ok_or(())
    .map_err(cut)
}

/// The next `count` values of N bytes each; none if the file ends before.
fn chunks<'a, const N: usize>(rest: &mut &'a [u8], count: usize) -> Option<impl Iterator<Item = [u8; N]> + 'a> {
    let (taken, after) = rest.split_at_checked(count.checked_mul(N)?)?;
    *rest = after;
    Some(taken.as_chunks::<N>().0.iter().copied())
}

/// IEEE 754 half precision: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::super::topology::Quantisation;
    use super::*;

    fn entry(name: &str, dtype: &str, stored: Option<(&str, f64, f64)>) -> WeightEntry {
        let quantization =
            stored.map(|(dtype, scale, min)| Quantisation { dtype: dtype.into(), scale: Some(scale), min: Some(min) });
        WeightEntry { name: name.into(), shape: vec![2], dtype: dtype.into(), quantization }
    }

    #[test]
    fn every_kind_of_storage_is_read_and_the_file_must_be_used_up() {
        let groups = [WeightGroup {
            weights: vec![
                entry("plain", "float32", None),
                entry("bytes", "float32", Some(("uint8", 0.5, -1.0))),
                entry("halves", "float32", Some(("float16", 1.0, 0.0))),
                entry("shape", "int32", None),
            ],
        }];
        let mut file: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        file.extend([0, 10, 0x00, 0x3c, 0x00, 0xc1]);
        file.extend([-1_i32, 1404].iter().flat_map(|v| v.to_le_bytes()));
        let weights = read(&groups, &file).unwrap();
        assert_eq!(weights["plain"].values, Values::Floats(vec![1.5, -2.0]));
        assert_eq!(weights["bytes"].values, Values::Floats(vec![-1.0, 4.0]));
        assert_eq!(weights["halves"].values, Values::Floats(vec![1.0, -2.5]));
        assert_eq!(weights["shape"].values, Values::Ints(vec![-1, 1404]));
        assert!(matches!(read(&groups, &file[1..]), Err(UnusableTfjs::CutOff { weight }) if weight == "shape"));
        file.push(0);
        assert!(matches!(read(&groups, &file), Err(UnusableTfjs::WrongSize { left: 1 })));
    }

    #[test]
    fn halves_cover_the_smallest_and_what_is_no_number() {
        assert_eq!(half(0x0001), 5.960_464_5e-8);
        assert_eq!(half(0x7bff), 65504.0);
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
