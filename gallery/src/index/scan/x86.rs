//! The kernels for x86-64, and the only `unsafe` code of this crate.
//!
//! What is unsafe is calling a function that needs instructions beyond the baseline (each call stands behind the test
//! for them) and reading a vector from a slice (each slice is as long as the vector).

#![allow(unsafe_code, reason = "vector instructions; each use says why it is sound")]

use std::arch::x86_64::{
    __m256i, __m512i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_add_epi8, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256,
    _mm512_add_epi8, _mm512_add_ps, _mm512_and_si512, _mm512_cmpge_epu8_mask, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_add_epi8,
    _mm512_maskz_loadu_epi8, _mm512_multishift_epi64_epi8, _mm512_permutexvar_epi8, _mm512_reduce_add_ps,
    _mm512_set1_epi8, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16, _mm512_storeu_si512,
    _mm512_ternarylogic_epi64,
};

use super::{BLOCK_ROWS, BlockHits, Line, PROBES_MAX, Tables};
use crate::index::quantise;

pub fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
}

pub fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// `quantise::cosine` with AVX-512: 64 coordinates at a time, their seven bits cut out by `vpmultishiftqb`.
pub fn cosine_avx512(probe: &[f32], probe_sum: f32, code: &[u8], rest: &[u8], scale: u16) -> f32 {
    assert!(has_avx512());
    // SAFETY: the line before tested for AVX-512F, BW and VBMI.
    let sum = unsafe { dot_avx512(probe, code, rest) };
    quantise::cosine_of(sum, probe_sum, scale)
}

/// Σ probe · level.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn dot_avx512(probe: &[f32], code: &[u8], rest: &[u8]) -> f32 {
    const PACKED: usize = 56;
    // Byte i of octet j from byte 7 j + i of what is packed; then seven bits from bit 7 i on.
    let (mut from, mut shift) = ([0u8; 64], [0u8; 64]);
    for i in 0..64 {
        from[i] = (i / 8 * 7 + i % 8) as u8;
        shift[i] = (i % 8 * 7) as u8;
    }
    let (from, shift) = (load(&from), load(&shift));
    let (seven, top) = (_mm512_set1_epi8(0x7f), _mm512_set1_epi8(i8::MIN));
    let (packed, tail) = rest.split_at(probe.len() / 64 * PACKED);
    let mut sums = [_mm512_setzero_ps(); 4];
    let groups = packed.as_chunks::<PACKED>().0.iter().zip(probe.as_chunks::<64>().0);
    for (group, (packed, probe)) in groups.enumerate() {
        // SAFETY: only the 56 bytes that the array has are read.
        let packed = unsafe { _mm512_maskz_loadu_epi8((1 << PACKED) - 1, packed.as_ptr().cast()) };
        let low = _mm512_multishift_epi64_epi8(shift, _mm512_permutexvar_epi8(from, packed));
        let low = _mm512_and_si512(low, seven);
        let levels = _mm512_mask_add_epi8(low, signs_of(group, code, tail), low, top);
        let quarters = [
            _mm512_extracti32x4_epi32::<0>(levels),
            _mm512_extracti32x4_epi32::<1>(levels),
            _mm512_extracti32x4_epi32::<2>(levels),
            _mm512_extracti32x4_epi32::<3>(levels),
        ];
        for ((sum, quarter), probe) in sums.iter_mut().zip(quarters).zip(probe.as_chunks::<16>().0) {
            // SAFETY: the array has the 16 floats that are read.
            let probe = unsafe { _mm512_loadu_ps(probe.as_ptr()) };
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(quarter)), probe, *sum);
        }
    }
    let [a, b, c, d] = sums;
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}

/// The sign bits of 64 coordinates, of which the code has the first and the tail the rest.
#[inline]
fn signs_of(group: usize, code: &[u8], tail: &[u8]) -> u64 {
    let mut signs = [0; 8];
    let (from, to) = (8 * group, 8 * group + 8);
    if to <= code.len() {
        signs.copy_from_slice(&code[from..to]);
    } else if from >= code.len() {
        signs.copy_from_slice(&tail[from - code.len()..to - code.len()]);
    } else {
        let (first, second) = signs.split_at_mut(code.len() - from);
        first.copy_from_slice(&code[from..]);
        second.copy_from_slice(&tail[..to - code.len()]);
    }
    u64::from_le_bytes(signs)
}

/// Tells the memory that `bytes` will be read soon.
#[inline(always)]
pub fn prefetch(bytes: &[u8]) {
    let ask = |byte: &u8| {
        // SAFETY: a prefetch reads nothing and cannot fault; SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) };
    };
    bytes.chunks(64).for_each(|line| ask(&line[0]));
    // Bytes that do not begin with a line of the cache end in one more.
    bytes.last().into_iter().for_each(ask);
}

/// `quantise::cosine`, compiled for AVX2.
pub fn cosine_avx2(probe: &[f32], probe_sum: f32, code: &[u8], rest: &[u8], scale: u16) -> f32 {
    #[target_feature(enable = "avx2,fma")]
    fn inner(probe: &[f32], probe_sum: f32, code: &[u8], rest: &[u8], scale: u16) -> f32 {
        quantise::cosine(probe, probe_sum, code, rest, scale)
    }
    assert!(has_avx2());
    // SAFETY: the line before tested for AVX2 and FMA.
    unsafe { inner(probe, probe_sum, code, rest, scale) }
}

/// Codes of `BYTES` with tables of `GROUPS` lines: one for each byte's lower six bits, then one for the upper two bits of
/// three bytes each.
pub fn scan_avx512<const BYTES: usize, const GROUPS: usize>(
    codes: &[u8],
    probes: &[(&Tables, u8)],
    tell: &mut impl FnMut(&BlockHits<'_>),
) {
    assert!(has_avx512());
    // SAFETY: the line before tested for AVX-512F, BW and VBMI.
    unsafe { avx512::<BYTES, GROUPS>(codes, probes, tell) }
}

/// Codes of `BYTES` with tables of four half-bytes a line.
pub fn scan_avx2<const BYTES: usize>(codes: &[u8], probes: &[(&Tables, u8)], tell: &mut impl FnMut(&BlockHits<'_>)) {
    assert!(has_avx2());
    // SAFETY: the line before tested for AVX2.
    unsafe { avx2::<BYTES>(codes, probes, tell) }
}

/// How far ahead of the scan memory is asked for; without it the processor waits at every page.
const AHEAD_BYTES: usize = 12 << 10;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn avx512<const BYTES: usize, const GROUPS: usize>(
    codes: &[u8],
    probes: &[(&Tables, u8)],
    tell: &mut impl FnMut(&BlockHits<'_>),
) {
    let mut found = [(Line([0; 64]), 0); PROBES_MAX];
    for (block, columns) in codes.as_chunks::<BLOCK_ROWS>().0.as_chunks::<BYTES>().0.iter().enumerate() {
        let ahead = block * BYTES * BLOCK_ROWS + AHEAD_BYTES;
        if let Some(ahead) =
            codes.get(ahead..).and_then(|codes| codes.as_chunks::<BLOCK_ROWS>().0.first_chunk::<BYTES>())
        {
            ahead.iter().for_each(|column| prefetch(column));
        }
        let index = indices::<BYTES, GROUPS>(columns);
        // First all scores, then what is told of them: a call between would spill what stands in registers.
        let mut reached = 0u32;
        for (probe, ((tables, threshold), (scores, rows))) in probes.iter().zip(&mut found).enumerate() {
            let Some(lines) = tables.lines.first_chunk::<GROUPS>() else { continue };
            // Two sums, so that one addition need not wait for the other.
            let mut sums = [_mm512_setzero_si512(); 2];
            for group in 0..GROUPS {
                let found = _mm512_permutexvar_epi8(index[group], load(&lines[group].0));
                sums[group % 2] = _mm512_add_epi8(sums[group % 2], found);
            }
            let sum = _mm512_add_epi8(sums[0], sums[1]);
            *rows = _mm512_cmpge_epu8_mask(sum, _mm512_set1_epi8(threshold.cast_signed()));
            if *rows != 0 {
                reached |= 1 << probe;
                // SAFETY: the line has the 64 bytes that are written.
                unsafe { _mm512_storeu_si512(scores.0.as_mut_ptr().cast(), sum) };
            }
        }
        while reached != 0 {
            let probe = reached.trailing_zeros() as usize;
            reached &= reached - 1;
            let (scores, rows) = &found[probe % PROBES_MAX];
            tell(&BlockHits { probe, block, rows: *rows, scores: &scores.0 });
        }
    }
}

/// What the tables are looked up with: each column, whose upper two bits are ignored, then the upper two bits of three
/// columns together. Everything is counted out at compile time, so that it stays in registers.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn indices<const BYTES: usize, const GROUPS: usize>(columns: &[[u8; BLOCK_ROWS]; BYTES]) -> [__m512i; GROUPS] {
    let (lowest, next) = (_mm512_set1_epi8(0x03), _mm512_set1_epi8(0x0c));
    let mut index = [_mm512_setzero_si512(); GROUPS];
    for byte in 0..BYTES {
        index[byte] = load(&columns[byte]);
    }
    for three in 0..GROUPS - BYTES {
        let at = |i: usize| index[if 3 * three + i < BYTES { 3 * three + i } else { BYTES - 1 }];
        // 0xca: where the mask is set the second, elsewhere the third. What stays above the six bits is ignored.
        let upper =
            _mm512_ternarylogic_epi64::<0xca>(next, _mm512_srli_epi16::<4>(at(1)), _mm512_srli_epi16::<2>(at(2)));
        let first = _mm512_srli_epi16::<6>(at(0));
        index[BYTES + three] = match BYTES - 3 * three {
            1 => _mm512_and_si512(first, lowest),
            2 => {
                let second = _mm512_and_si512(_mm512_srli_epi16::<4>(at(1)), next);
                _mm512_ternarylogic_epi64::<0xca>(lowest, first, second)
            }
            _ => _mm512_ternarylogic_epi64::<0xca>(lowest, first, upper),
        };
    }
    index
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn avx2<const BYTES: usize>(codes: &[u8], probes: &[(&Tables, u8)], tell: &mut impl FnMut(&BlockHits<'_>)) {
    for (block, codes) in codes.chunks_exact(BYTES * BLOCK_ROWS).enumerate() {
        let (halves, _) = codes.as_chunks::<32>();
        for (probe, (tables, threshold)) in probes.iter().enumerate() {
            let mut scores = Line([0; 64]);
            let (lower, upper) = scores.0.split_at_mut(32);
            let low = half_block(halves.iter().step_by(2).take(BYTES), &tables.lines, *threshold, lower);
            let high = half_block(halves.iter().skip(1).step_by(2).take(BYTES), &tables.lines, *threshold, upper);
            let rows = u64::from(low) | u64::from(high) << 32;
            if rows != 0 {
                tell(&BlockHits { probe, block, rows, scores: &scores.0 });
            }
        }
    }
}

/// The scores of 32 rows, whose code bytes are given column by column, and which of them reach the threshold.
#[target_feature(enable = "avx2")]
#[inline]
fn half_block<'a>(
    columns: impl Iterator<Item = &'a [u8; 32]>,
    lines: &[Line],
    threshold: u8,
    scores: &mut [u8],
) -> u32 {
    let low_bits = _mm256_set1_epi8(0x0f);
    let mut sums = [_mm256_setzero_si256(); 2];
    for (byte, column) in columns.enumerate() {
        let (tables, _) = lines[byte / 2].0.as_chunks::<16>();
        // SAFETY: the array has the 32 bytes that are read.
        let codes: __m256i = unsafe { _mm256_loadu_si256(column.as_ptr().cast()) };
        let patterns = [_mm256_and_si256(codes, low_bits), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low_bits)];
        for (i, pattern) in patterns.into_iter().enumerate() {
            // SAFETY: the array has the 16 bytes that are read.
            let table = unsafe { _mm_loadu_si128(tables[2 * (byte % 2) + i].as_ptr().cast()) };
            let found = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), pattern);
            sums[i] = _mm256_add_epi8(sums[i], found);
        }
    }
    let sum = _mm256_add_epi8(sums[0], sums[1]);
    let reach = _mm256_cmpeq_epi8(_mm256_max_epu8(sum, _mm256_set1_epi8(threshold.cast_signed())), sum);
    let rows = _mm256_movemask_epi8(reach).cast_unsigned();
    if rows != 0 && scores.len() == 32 {
        // SAFETY: the slice has the 32 bytes that are written; its length was compared.
        unsafe { _mm256_storeu_si256(scores.as_mut_ptr().cast(), sum) };
    }
    rows
}
