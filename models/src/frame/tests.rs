//! What is cut out of a frame lies where it should and has the colour it should.

use image::Rgb;

use super::*;
use crate::geometry::Point;

fn region(left: f32, top: f32, width: f32, height: f32) -> BoundingBox {
    BoundingBox { left, top, width, height }
}

#[test]
fn a_frame_prints_only_its_size() {
    let frame = Frame::from_rgb(&RgbImage::from_pixel(3, 2, Rgb([255, 255, 255])));
    assert_eq!(format!("{frame:?} {:?}", frame.luma()), "Frame(3x2) Luma(3x2)");
    assert_eq!((frame.luma_at(0, 0), frame.luma().samples), (255, &[255; 6][..]));
}

#[test]
fn coarse_colour_lies_in_the_middle_of_its_pixels() {
    let samples = vec![100, 100, 100, 100, 100, 100, 100, 100, 128, 128, 128, 148];
    let frame = Frame::from_camera(PixelLayout::I420, SampleRange::Full, 4, 2, samples).unwrap();
    let red = |x| frame.sampler(Beyond::Repeated).row(std::iter::once(Point { x, y: 0.0 }))[0][0];
    assert!((red(0.5) - 100.0).abs() < 1e-3 && (red(2.5) - 128.04).abs() < 1e-3);
    assert!((red(1.5) - 114.02).abs() < 1e-3);
}

#[test]
fn planes_of_different_pictures_are_refused() {
    let made = |sizes: [(usize, usize); 3], count: usize| {
        let mut start = 0;
        let extents = sizes.map(|(width, height)| {
            start += width * height;
            Extent { start: start - width * height, width, height }
        });
        Frame::from_samples(vec![0; count], extents).is_ok()
    };
    assert!(made([(8, 6), (4, 3), (4, 3)], 72));
    assert!(made([(8, 6), (2, 6), (2, 6)], 72));
    assert!(!made([(8, 6), (4, 3), (4, 3)], 71));
    assert!(!made([(8, 6), (4, 3), (8, 6)], 200));
    assert!(!made([(9, 9), (3, 3), (3, 3)], 200));
    assert!(!made([(0, 9), (0, 9), (0, 9)], 0));
}

#[test]
fn a_part_begins_with_a_whole_colour_sample_and_ends_with_the_frame() {
    let mut samples: Vec<u8> = (0..12 * 8).collect();
    samples.extend(0..6 * 4_u8);
    samples.extend(100..100 + 6 * 4_u8);
    let frame = Frame::from_camera(PixelLayout::I420, SampleRange::Full, 12, 8, samples).unwrap();
    let ([luma, cb, cr], left, top) = frame.part(region(5.0, 3.5, 4.0, 40.0)).unwrap();
    assert_eq!((left, top, luma.width, luma.height), (4, 0, 8, 8));
    assert_eq!((luma.row(1)[0], cb.row(1)[0], cr.row(3)[3]), (16, 8, 123));
    assert_eq!((cb.width, cb.height), (4, 4));
    assert!(frame.part(region(-9.0, 0.0, 8.0, 8.0)).is_none());
    assert!(frame.part(region(f32::NAN, 0.0, 8.0, 8.0)).is_none_or(|(part, ..)| part[0].width <= 12));
}

#[test]
fn a_frame_turned_by_half_has_its_last_pixel_first() {
    let picture = RgbImage::from_fn(64, 36, |x, y| image::Rgb([(3 * x) as u8, (5 * y) as u8, 9]));
    let turned = Frame::from_rgb(&picture).turned();
    let expected = Frame::from_rgb(&image::imageops::rotate180(&picture));
    for (ours, theirs) in turned.planes().iter().zip(expected.planes()) {
        assert_eq!(ours.samples, theirs.samples);
    }
}
