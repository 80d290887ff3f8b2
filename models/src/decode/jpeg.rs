//! Camera JPEGs through libjpeg-turbo, straight into planes: no conversion to RGB, no enlarging of coarse colour.
//!
//! Whole and once. A second look at a smaller scale, for the detector, would cost more than halving the planes does
//! (under a millisecond), since the crop needs the full size anyway; and it would not be bit by bit what OpenCV's
//! detector is fed, on which near ties between its cells hang.

use std::cell::RefCell;

use image::metadata::Orientation;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Subsamp, YuvImage};

use super::{ImageError, ImageLimits, refuse_size};
use crate::frame::{Extent, Frame};

/// More scans than any camera or editor writes; each is a pass over the whole picture, and a small file may claim many
/// (CERT-Bund's progressive JPEG bomb).
const SCANS_MAX: u32 = 64;

thread_local! {
    /// A decompressor takes longer to make than a header to read.
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
}

/// The frame of a JPEG as cameras make them; none if it is of another kind, damaged, or to be turned: the general
/// decoder then has the word.
///
/// Errors: a picture of a size that `limits` refuse, before memory is taken.
pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Option<Frame>, ImageError> {
    if may_be_turned(bytes) {
        return Ok(None);
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => match fresh() {
                Ok(decompressor) => slot.insert(decompressor),
                Err(_) => return Ok(None),
            },
        };
        let Ok(header) = decompressor.read_header(bytes) else { return Ok(None) };
        if !is_plain(&header) {
            return Ok(None);
        }
        refuse_size(header.width as u32, header.height as u32, limits)?;
        Ok(planes(decompressor, bytes, &header))
    })
}

fn fresh() -> turbojpeg::Result<Decompressor> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scan_limit(SCANS_MAX)?;
    Ok(decompressor)
}

/// Whether planes of whole colour samples come out.
fn is_plain(header: &DecompressHeader) -> bool {
    let coarse = header.subsamp.size();
    header.colorspace == Colorspace::YCbCr
        && !header.is_lossless
        && !matches!(header.subsamp, Subsamp::Unknown | Subsamp::Gray)
        && header.width.is_multiple_of(coarse.0)
        && header.height.is_multiple_of(coarse.1)
}

/// libjpeg-turbo reports what it had to guess as an error: such pictures are left to the general decoder, too.
fn planes(decompressor: &mut Decompressor, bytes: &[u8], header: &DecompressHeader) -> Option<Frame> {
    let (width, height) = (header.width, header.height);
    let (across, down) = header.subsamp.size();
    let (colour_width, colour_height) = (width / across, height / down);
    let (pixels, colours) = (width * height, colour_width * colour_height);
    let mut samples = vec![0; pixels + 2 * colours];
    let image = YuvImage { pixels: &mut samples[..], width, align: 1, height, subsamp: header.subsamp };
    decompressor.decompress_to_yuv(bytes, image).ok()?;
    let colour = |start| Extent { start, width: colour_width, height: colour_height };
    let extents = [Extent { start: 0, width, height }, colour(pixels), colour(pixels + colours)];
    Frame::from_samples(samples, extents).ok()
}

/// Whether an EXIF segment (APP1) before the first scan says that the picture is stored turned.
fn may_be_turned(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        match marker {
            0xda => return false,
            0xe1 if says_turned(rest.get(4..end).unwrap_or_default()) => return true,
            _ => rest = rest.get(end..).unwrap_or_default(),
        }
    }
    false
}

fn says_turned(segment: &[u8]) -> bool {
    let note = segment.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
    note.is_some_and(|orientation| orientation != Orientation::NoTransforms)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use turbojpeg::{Compressor, Image, PixelFormat};

    use super::*;

    fn jpeg(width: u32, height: u32, subsamp: Subsamp, progressive: bool) -> (RgbImage, Vec<u8>) {
        let pixels = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 2) as u8, (y * 2) as u8, 120]));
        let mut compressor = Compressor::new().unwrap();
        compressor.set_subsamp(subsamp).unwrap();
        compressor.set_quality(95).unwrap();
        compressor.set_progressive(progressive).unwrap();
        let (width, height) = (width as usize, height as usize);
        let image = Image { pixels: &pixels.as_raw()[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
        let bytes = compressor.compress_to_vec(image).unwrap();
        (pixels, bytes)
    }

    fn planar(bytes: &[u8]) -> Option<Frame> {
        decode(bytes, &ImageLimits::default()).unwrap()
    }

    #[test]
    fn every_subsampling_gives_the_picture_that_was_coded() {
        for subsamp in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Sub4x1] {
            for progressive in [false, true] {
                let (pixels, bytes) = jpeg(96, 80, subsamp, progressive);
                let frame = planar(&bytes).unwrap();
                assert_eq!((frame.width(), frame.height()), (96, 80), "{subsamp:?}");
                for (x, y) in [(10, 10), (60, 31), (90, 75)] {
                    let mut sampler = frame.sampler(crate::frame::Beyond::Repeated);
                    let seen = sampler.row(std::iter::once(crate::Point { x: x as f32, y: y as f32 }));
                    for (is, was) in seen.into_iter().zip(pixels.get_pixel(x, y).0) {
                        assert!((is[0] - f32::from(was)).abs() < 6.0, "{subsamp:?} {x},{y}: {seen:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn grey_odd_sized_and_turned_pictures_are_left_to_the_general_decoder() {
        assert!(planar(&jpeg(96, 80, Subsamp::Gray, false).1).is_none());
        assert!(planar(&jpeg(97, 80, Subsamp::Sub2x2, false).1).is_none());
        assert!(planar(&jpeg(97, 81, Subsamp::None, false).1).is_some());
        let (_, mut bytes) = jpeg(96, 80, Subsamp::Sub2x2, false);
        bytes.splice(2..2, *b"\xff\xe1\x00\x08Exif\0\0");
        assert!(planar(&bytes).is_some());
        let note = |orientation| {
            let mut note = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
            note.extend([orientation, 0, 0, 0, 0, 0, 0]);
            note
        };
        assert!(planar(&[&bytes[..2], &note(1), &bytes[2..]].concat()).is_some());
        assert!(planar(&[&bytes[..2], &note(6), &bytes[2..]].concat()).is_none());
    }

    #[test]
    fn a_damaged_picture_is_not_guessed_and_a_large_one_refused_by_its_header() {
        let (_, bytes) = jpeg(96, 80, Subsamp::Sub2x2, false);
        let mut cut = bytes[..bytes.len() * 2 / 3].to_vec();
        cut.extend([0xff, 0xd9]);
        assert!(planar(&cut).is_none());
        let limits = ImageLimits { pixels_max: 7_000, ..ImageLimits::default() };
        assert!(matches!(decode(&bytes, &limits), Err(ImageError::TooLarge { width: 96, .. })));
    }
}
