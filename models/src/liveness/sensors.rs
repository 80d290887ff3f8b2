//! Depth and infrared images beside a frame: read, bounded, and related to the frame's pixels.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::{DepthMap, InfraredMap};
use crate::geometry::BoundingBox;

/// Sensors of this kind give at most this many pixels a side.
const SIDE_MAX: u32 = 4096;
const BYTES_MAX: u64 = 128 << 20;

/// What further sensors saw at the moment of a frame; each covers the frame's view, at any resolution.
#[derive(Debug, Clone, Default)]
pub struct Sensors {
    pub depth: Option<DepthMap>,
    pub infrared: Option<InfraredMap>,
}

/// A depth or infrared image that cannot be used; the frame counts as having none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadablePlane {
    #[error("the image beside the frame cannot be read: {0}")]
    Malformed(String),
    #[error("a depth image is a PNG of 16 bits of grey, in millimetres")]
    NotDepth,
}

impl DepthMap {
    /// Reads a PNG of 16 bits of grey: millimetres along the optical axis, 0 where nothing was measured.
    pub fn from_png(bytes: &[u8]) -> Result<Self, UnreadablePlane> {
        match read(bytes, ImageFormat::Png)? {
            DynamicImage::ImageLuma16(image) => Ok(Self::new(image.width(), image.height(), image.into_raw())),
            _ => Err(UnreadablePlane::NotDepth),
        }
    }
}

impl InfraredMap {
    /// Reads a PNG or JPEG; of more than one channel the brightness counts.
    pub fn from_picture(bytes: &[u8]) -> Result<Self, UnreadablePlane> {
        let jpeg = bytes.starts_with(&[0xff, 0xd8]);
        let image = read(bytes, if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png })?.into_luma8();
        Ok(Self::new(image.width(), image.height(), image.into_raw()))
    }
}

fn read(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, UnreadablePlane> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.decode().map_err(|e| UnreadablePlane::Malformed(e.to_string()))
}

/// A rectangle of the frame in the pixels of an image of the same view.
pub(super) fn registered(region: &BoundingBox, frame: (u32, u32), image: (u32, u32)) -> BoundingBox {
    let (x, y) = (image.0 as f32 / frame.0.max(1) as f32, image.1 as f32 / frame.1.max(1) as f32);
    BoundingBox { left: region.left * x, top: region.top * y, width: region.width * x, height: region.height * y }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageBuffer, Luma};

    use super::*;

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn depth_is_16_bits_and_anything_else_is_named() {
        let deep = DynamicImage::ImageLuma16(ImageBuffer::from_pixel(4, 2, Luma([612_u16])));
        assert!(DepthMap::from_png(&png(&deep)).is_ok());
        let grey = png(&DynamicImage::ImageLuma8(GrayImage::new(4, 2)));
        assert_eq!(DepthMap::from_png(&grey).unwrap_err(), UnreadablePlane::NotDepth);
        assert!(InfraredMap::from_picture(&grey).is_ok());
        let mut jpeg = Cursor::new(Vec::new());
        GrayImage::new(8, 8).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        assert!(InfraredMap::from_picture(&jpeg.into_inner()).is_ok());
        for cut in [b"\x89PNG cut", b"\xff\xd8 a cut"] {
            assert!(matches!(InfraredMap::from_picture(&cut[..]), Err(UnreadablePlane::Malformed(_))));
        }
    }
}
