//! Bytes of a reader into lines, bounded: readers differ in how they end a line, and wires add what nobody sent.

/// Longer than any ride code (`domain::code::TEXT_LEN_MAX`) with what readers put around it.
const LINE_BYTES_MAX: usize = 2048;

/// Collects bytes until a line ends.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

/// A whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Line(String),
    Nonsense(&'static str),
}

impl Lines {
    /// The lines that these bytes end. Carriage return, line feed or both end one; empty ones are none.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => said.extend(self.end()),
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => self.too_long = true,
            }
        }
        said
    }

    /// Drops a line that has no end; whether there was one.
    pub fn forget_half(&mut self) -> bool {
        let half = !self.line.is_empty();
        *self = Self::default();
        half
    }

    fn end(&mut self) -> Option<Said> {
        let Self { line, too_long } = std::mem::take(self);
        if too_long {
            return Some(Said::Nonsense("longer than any ride code"));
        }
        // Readers may frame what they read with control characters (start and end of text).
        let is_frame = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
        let from = line.iter().position(|byte| !is_frame(byte))?;
        let to = line.iter().rposition(|byte| !is_frame(byte))?;
        let text = String::from_utf8(line[from..=to].to_vec());
        let text = text.ok().filter(|text| !text.chars().any(char::is_control));
        Some(text.map_or(Said::Nonsense("no text"), Said::Line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Said {
        Said::Line(text.to_owned())
    }

    #[test]
    fn every_way_to_end_and_to_frame_a_line_is_understood() {
        let mut lines = Lines::default();
        let said = lines.push(b"FG1:A\r\nFG1:B\rFG1:C\n\r\n\x02FG1:D\x03\r\n  FG1:E \nFG1:");
        assert_eq!(said, ["FG1:A", "FG1:B", "FG1:C", "FG1:D", "FG1:E"].map(line));
        assert_eq!(lines.push(b"F\n"), [line("FG1:F")], "a line may come in pieces");
    }

    #[test]
    fn garbage_huge_and_half_lines_are_named_and_harm_no_other_line() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"\xff\xfe\x00garbage\n"), [Said::Nonsense("no text")]);
        assert_eq!(lines.push(b"a\x07b\n"), [Said::Nonsense("no text")]);
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; 100]), []);
        }
        assert!(lines.line.capacity() <= 2 * LINE_BYTES_MAX, "it does not grow");
        assert_eq!(lines.push(b"\nFG1:A\n"), [Said::Nonsense("longer than any ride code"), line("FG1:A")]);
        lines.push(b"FG1:HAL");
        assert!(lines.forget_half() && !lines.forget_half());
        assert_eq!(lines.push(b"FG1:WHOLE\n"), [line("FG1:WHOLE")]);
    }

    proptest! {
        #[test]
        fn lines_come_out_as_they_went_in_however_they_are_cut(
            sent in prop::collection::vec("[!-~]([ -~]{0,60}[!-~])?", 0..6),
            piece in 1_usize..40,
        ) {
            let mut lines = Lines::default();
            let bytes: Vec<u8> = sent.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
            let said: Vec<Said> = bytes.chunks(piece).flat_map(|chunk| lines.push(chunk)).collect();
            prop_assert_eq!(said, sent.iter().map(|text| line(text)).collect::<Vec<_>>());
        }

        #[test]
        fn anything_at_all_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut lines = Lines::default();
            lines.push(&bytes);
            prop_assert!(lines.line.len() <= LINE_BYTES_MAX);
        }
    }
}
