//! From the bytes of a file to a frame. Everything that can be refused is refused before memory is taken for pixels.

mod jpeg;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError as DecoderError, ImageFormat, ImageReader, Limits};
use serde::Deserialize;

use crate::frame::Frame;

/// How large a picture may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageLimits {
    pub file_bytes_max: usize,
    pub pixels_max: u64,
    /// Shortest side; a face cannot be told on less.
    pub side_px_min: u32,
}

impl Default for ImageLimits {
    /// 10 MB and 16 megapixels: what a telephone takes. At least 64 pixels each way.
    fn default() -> Self {
        Self { file_bytes_max: 10_000_000, pixels_max: 16_777_216, side_px_min: 64 }
    }
}

/// Why bytes are not a usable picture. The text may be shown to whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("this is not a picture: send a JPEG or PNG file")]
    NotAnImage,
    #[error("{found} pictures are not accepted: send a JPEG or PNG file")]
    UnsupportedType { found: &'static str },
    #[error("the file has {bytes} bytes, at most {max} are accepted: send a smaller picture")]
    FileTooLarge { bytes: usize, max: usize },
    #[error("the picture is {width}x{height}, at most {pixels_max} pixels are accepted: send a smaller picture")]
    TooLarge { width: u32, height: u32, pixels_max: u64 },
    #[error("the picture is {width}x{height}, at least {min} pixels each way are needed: send a larger picture")]
    TooSmall { width: u32, height: u32, min: u32 },
    #[error("the picture is damaged or cut off: send it again")]
    Corrupt,
}

/// Decodes a JPEG or PNG file, told by its first bytes whatever it is called, and turns it as its EXIF note says.
pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Frame, ImageError> {
    if bytes.len() > limits.file_bytes_max {
        return Err(ImageError::FileTooLarge { bytes: bytes.len(), max: limits.file_bytes_max });
    }
    let format = format_of(bytes)?;
    if format == ImageFormat::Jpeg {
        if is_cut_off(bytes) {
            return Err(ImageError::Corrupt);
        }
        if let Some(frame) = jpeg::decode(bytes, limits)? {
            return Ok(frame);
        }
    }
    decode_any(bytes, format, limits)
}

/// PNG, and JPEG of the kinds that cameras do not make.
fn decode_any(bytes: &[u8], format: ImageFormat, limits: &ImageLimits) -> Result<Frame, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder_limits = Limits::default();
    // Four bytes a pixel and as much again for the decoder's own work; 16-bit PNGs need eight.
    decoder_limits.max_alloc = Some(limits.pixels_max.saturating_mul(16));
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    refuse_size(width, height, limits)?;
    // Telephones store the sensor's rows and note how the telephone was held; a note that cannot be read is none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    image.apply_orientation(orientation);
    Ok(Frame::from_rgb(&image.into_rgb8()))
}

fn refuse_size(width: u32, height: u32, limits: &ImageLimits) -> Result<(), ImageError> {
    if u64::from(width) * u64::from(height) > limits.pixels_max {
        return Err(ImageError::TooLarge { width, height, pixels_max: limits.pixels_max });
    }
    if width.min(height) < limits.side_px_min {
        return Err(ImageError::TooSmall { width, height, min: limits.side_px_min });
    }
    Ok(())
}

fn corrupt(_: DecoderError) -> ImageError {
    ImageError::Corrupt
}

/// Whether a JPEG ends before its end marker. Decoders fill what is missing with grey and say nothing, and half a
/// face is none. Within coded data 0xFF is always followed by 0x00 or a restart marker (ITU-T T.81, B.1.1.5), so the
/// last end of image must have no start of a scan behind it; a thumbnail in the EXIF data brings its own pair before.
fn is_cut_off(bytes: &[u8]) -> bool {
    let end = bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
    end.is_none_or(|end| bytes[end..].windows(2).any(|pair| pair == [0xff, 0xda]))
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"\xff\xd8\xff") {
        return Ok(ImageFormat::Jpeg);
    }
    if at(0, b"\x89PNG\r\n\x1a\n") {
        return Ok(ImageFormat::Png);
    }
    let known: [(bool, &'static str); 9] = [
        (at(0, b"GIF8"), "GIF"),
        (at(0, b"RIFF") && at(8, b"WEBP"), "WebP"),
        (at(0, b"BM"), "BMP"),
        (at(0, b"II*\0") || at(0, b"MM\0*"), "TIFF"),
        (at(4, b"ftypheic") || at(4, b"ftypheix") || at(4, b"ftypmif1"), "HEIC"),
        (at(4, b"ftypavif"), "AVIF"),
        (at(0, b"\xff\x0a") || at(0, b"\0\0\0\x0cJXL "), "JPEG XL"),
        (at(0, b"<svg"), "SVG"),
        (at(0, b"%PDF"), "PDF"),
    ];
    match known.into_iter().find(|k| k.0) {
        Some((_, found)) => Err(ImageError::UnsupportedType { found }),
        None => Err(ImageError::NotAnImage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn refusal(bytes: &[u8]) -> ImageError {
        decode(bytes, &ImageLimits::default()).unwrap_err()
    }

    #[test]
    fn the_type_is_told_by_the_content() {
        assert_eq!(decode(&png(80, 70), &ImageLimits::default()).unwrap().width(), 80);
        assert_eq!(refusal(b"GIF89a........"), ImageError::UnsupportedType { found: "GIF" });
        assert_eq!(refusal(b"RIFF\0\0\0\0WEBPVP8 "), ImageError::UnsupportedType { found: "WebP" });
        assert_eq!(refusal(b"\0\0\0\x18ftypheic...."), ImageError::UnsupportedType { found: "HEIC" });
        assert_eq!(refusal(b"hello"), ImageError::NotAnImage);
        assert_eq!(refusal(b""), ImageError::NotAnImage);
    }

    #[test]
    fn a_huge_picture_is_refused_before_its_pixels_are_read() {
        let mut bomb = png(80, 70);
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let header = bomb[12..29].to_vec();
        bomb[29..33].copy_from_slice(&crc32(&header).to_be_bytes());
        assert!(matches!(refusal(&bomb), ImageError::TooLarge { width: 65_535, height: 65_535, .. }));
        let limits = ImageLimits { file_bytes_max: 10, ..ImageLimits::default() };
        assert!(matches!(decode(&bomb, &limits), Err(ImageError::FileTooLarge { max: 10, .. })));
    }

    #[test]
    fn small_and_damaged_pictures_are_told_apart() {
        assert_eq!(refusal(&png(63, 200)), ImageError::TooSmall { width: 63, height: 200, min: 64 });
        let whole = png(80, 70);
        assert_eq!(refusal(&whole[..whole.len() / 2]), ImageError::Corrupt);
        assert_eq!(refusal(b"\xff\xd8\xff\xe0 and then nothing like it"), ImageError::Corrupt);
        let mut whole = Cursor::new(Vec::new());
        image::RgbImage::new(80, 70).write_to(&mut whole, ImageFormat::Jpeg).unwrap();
        let whole = whole.into_inner();
        assert!(decode(&whole, &ImageLimits::default()).is_ok());
        for kept in 4..whole.len() - 1 {
            assert_eq!(refusal(&whole[..kept]), ImageError::Corrupt, "{kept} of {} bytes", whole.len());
        }
    }

    /// CRC-32 as PNG chunks carry it.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
        })
    }
}
