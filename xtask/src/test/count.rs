//! The sum over the closing lines that the test runner prints, one for each test program.

use std::fmt;

/// How many tests passed and failed, over all test programs.
#[derive(Default, Clone, Copy)]
pub struct Count {
    passed: u32,
    failed: u32,
}

impl Count {
    /// Adds `test result: ok. 5 passed; 0 failed; …`; any other line changes nothing.
    pub fn take(&mut self, line: &str) {
        let Some((_, numbers)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for part in numbers.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not_count() {
        let mut count = Count::default();
        for line in [
            "running 5 tests",
            "test fares::a_hole_is_refused ... ok",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "    test result: ok. 9 passed; 9 failed; indented, so a test printed it",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s",
        ] {
            count.take(line);
        }
        assert_eq!(count.to_string(), "7 passed, 3 failed");
    }
}
