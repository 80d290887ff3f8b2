//! A reader that types what it reads, as most of those with a USB plug do: records of the kernel's `evdev`, of a keyboard
//! with the American layout, which is what such readers come as.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | when; not looked at |
//! | 2, 2, 4 | kind (1 = key), code, value (0 let go, 1 pressed, 2 repeated), little-endian |
//!
//! The device is not taken away from others: what is held before it is typed into the console as well, unless a udev rule
//! keeps it from there (docs/OPERATING.md).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Device;

const RECORD_BYTES: usize = 24;
const KIND_KEY: u16 = 1;
/// `O_NONBLOCK` of Linux on the processors that we name.
const NONBLOCK: i32 = 0o4000;

/// See the module's description.
pub struct HidDevice {
    path: PathBuf,
    records: Option<AsyncFd<File>>,
    keys: Keys,
}

impl HidDevice {
    pub fn new(path: PathBuf) -> Self {
        Self { path, records: None, keys: Keys::default() }
    }
}

#[async_trait]
impl Device for HidDevice {
    async fn open(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(&self.path)?;
        #[expect(deprecated, reason = "its successor needs unsafe code; the file is ours as long as this owns it")]
        let records = AsyncFd::with_interest(file, Interest::READABLE)?;
        self.records = Some(records);
        self.keys = Keys::default();
        Ok(())
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let records = self.records.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            let mut bytes = [0; 64 * RECORD_BYTES];
            // The kernel gives whole records only.
            let read = records.async_io(Interest::READABLE, |mut file| file.read(&mut bytes)).await?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the device has ended"));
            }
            let typed: Vec<u8> = bytes[..read].chunks_exact(RECORD_BYTES).filter_map(|r| self.keys.typed(r)).collect();
            if !typed.is_empty() {
                return Ok(typed);
            }
        }
    }
}

impl std::fmt::Debug for HidDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HidDevice({})", self.path.display())
    }
}

/// Codes of keys, as `linux/input-event-codes.h` has them.
mod key {
    pub const DIGITS: u16 = 2;
    pub const UPPER: u16 = 16;
    pub const ENTER: u16 = 28;
    pub const HOME: u16 = 30;
    pub const LEFT_SHIFT: u16 = 42;
    pub const LOWER: u16 = 43;
    pub const RIGHT_SHIFT: u16 = 54;
    pub const SPACE: u16 = 57;
    pub const CAPS_LOCK: u16 = 58;
    pub const KEYPAD_ENTER: u16 = 96;
}

/// Keys that are held.
#[derive(Debug, Default)]
struct Keys {
    shift: bool,
    caps: bool,
}

impl Keys {
    /// What a record types, if anything.
    fn typed(&mut self, record: &[u8]) -> Option<u8> {
        let short = |at: usize| Some(u16::from_le_bytes(record.get(at..at + 2)?.try_into().ok()?));
        let value = i32::from_le_bytes(record.get(20..24)?.try_into().ok()?);
        if short(16)? != KIND_KEY {
            return None;
        }
        match short(18)? {
            key::LEFT_SHIFT | key::RIGHT_SHIFT => {
                self.shift = value != 0;
                None
            }
            key::CAPS_LOCK => {
                self.caps ^= value == 1;
                None
            }
            // A key that is held repeats (2): a reader never holds one.
            _ if value != 1 => None,
            code => character(code, self.shift, self.caps),
        }
    }
}

/// Rows of the keyboard from the key with this code on: what its keys type alone, and with shift.
const ROWS: [(u16, &[u8], &[u8]); 4] = [
    (key::DIGITS, b"1234567890-=", b"!@#$%^&*()_+"),
    (key::UPPER, b"qwertyuiop[]", b"QWERTYUIOP{}"),
    (key::HOME, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"),
    (key::LOWER, b"\\zxcvbnm,./", b"|ZXCVBNM<>?"),
];

fn character(code: u16, shift: bool, caps: bool) -> Option<u8> {
    match code {
        key::ENTER | key::KEYPAD_ENTER => return Some(b'\n'),
        key::SPACE => return Some(b' '),
        _ => {}
    }
    let (plain, shifted) = ROWS.iter().find_map(|(first, plain, shifted)| {
        let at = usize::from(code.checked_sub(*first)?);
        Some((*plain.get(at)?, *shifted.get(at)?))
    })?;
    let upper = shift != (caps && plain.is_ascii_lowercase());
    Some(if upper { shifted } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, code: u16, value: i32) -> Vec<u8> {
        [&[7; 16][..], &kind.to_le_bytes(), &code.to_le_bytes(), &value.to_le_bytes()].concat()
    }

    /// What a reader types for a text, as the kernel records it: each key with its scan code before and a report after.
    pub fn recorded(text: &str) -> Vec<u8> {
        let press = |code: u16, value| [record(4, 4, 458_756), record(1, code, value), record(0, 0, 0)].concat();
        let mut bytes = Vec::new();
        for byte in text.bytes() {
            let (code, shift) = key_of(byte);
            let stroke = [press(code, 1), press(code, 0)].concat();
            if shift {
                bytes.extend([press(key::LEFT_SHIFT, 1), stroke, press(key::LEFT_SHIFT, 0)].concat());
            } else {
                bytes.extend(stroke);
            }
        }
        bytes
    }

    fn key_of(byte: u8) -> (u16, bool) {
        let mut all = (1..=60).flat_map(|code| [(code, false), (code, true)]);
        all.find(|(code, shift)| character(*code, *shift, false) == Some(byte)).unwrap()
    }

    fn typed(recorded: &[u8]) -> String {
        let mut keys = Keys::default();
        String::from_utf8(recorded.chunks(RECORD_BYTES).filter_map(|record| keys.typed(record)).collect()).unwrap()
    }

    #[test]
    fn a_typed_ride_code_comes_out_as_it_was_shown() {
        // All that base45 has, and the prefix.
        let text = "FG1:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:\n";
        assert_eq!(typed(&recorded(text)), text);
        let web = "https://example.org/menu?id=7&x=~`{}[]|\\\"'<>,;_()!@#^\n";
        assert_eq!(typed(&recorded(web)), web);
    }

    #[test]
    fn caps_lock_repeats_and_strange_records_type_nothing_wrong() {
        let mut keys = Keys::default();
        for (code, value, expected) in [
            (key::CAPS_LOCK, 1, None),
            (key::CAPS_LOCK, 0, None),
            (key::HOME, 1, Some(b'A')),
            (key::HOME, 2, None),
            (key::HOME, 0, None),
            (key::DIGITS, 1, Some(b'1')),
            (65, 1, None),
            (u16::MAX, 1, None),
            (key::RIGHT_SHIFT, 1, None),
            (key::HOME, 1, Some(b'a')),
            (key::RIGHT_SHIFT, 0, None),
        ] {
            assert_eq!(keys.typed(&record(KIND_KEY, code, value)), expected, "{code} {value}");
        }
        assert_eq!(keys.typed(&record(2, 0, 5)), None, "a mouse");
        assert_eq!(keys.typed(&[1; 11]), None, "the half of a record");
    }

    #[tokio::test]
    async fn recorded_bytes_are_read_from_a_device_until_it_is_gone() {
        let (reading, mut writing) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reading)));
        let mut device = HidDevice::new(path);
        device.open().await.unwrap();
        drop(reading);
        io::Write::write_all(&mut writing, &recorded("FG1:A\n")).unwrap();
        let mut said = Vec::new();
        while said.len() < 6 {
            said.extend(device.read().await.unwrap());
        }
        assert_eq!(said, b"FG1:A\n");
        drop(writing);
        assert!(device.read().await.is_err(), "unplugged");
    }
}
