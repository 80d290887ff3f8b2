//! When a fare holds: travel days, holidays, hours, and the periods that caps count by.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::travel_day::{TravelDays, time};

const DAY_MINUTES: u16 = 24 * 60;
/// Bits 0 to 6 are Monday to Sunday.
const HOLIDAY: u8 = 1 << 7;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The operator's travel days, and which of them are holidays.
#[derive(Debug, Clone)]
pub struct Calendar {
    days: TravelDays,
    holidays: BTreeSet<Date>,
}

/// A moment as fares see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub day: Date,
    /// One bit: the day of the week, or that it is a holiday and no day of the week then.
    kind: u8,
    /// Of the clock on the wall.
    minute: u16,
}

impl Moment {
    /// Until the clock on the wall shows that minute of the day again, by a day of 24 hours.
    pub fn minutes_until(self, minute: u16) -> u64 {
        let day = u64::from(DAY_MINUTES);
        let left = (day + u64::from(minute) - u64::from(self.minute)) % day;
        if left == 0 { day } else { left }
    }
}

impl Calendar {
    pub fn new(days: TravelDays, holidays: BTreeSet<Date>) -> Self {
        Self { days, holidays }
    }

    pub fn days(&self) -> &TravelDays {
        &self.days
    }

    pub fn moment(&self, at: Timestamp) -> Moment {
        let (day, minute) = self.days.moment(at);
        let holiday = !self.holidays.is_empty() && self.holidays.contains(&day);
        Moment { day, kind: if holiday { HOLIDAY } else { 1 << weekday(day.weekday()) }, minute }
    }
}

fn weekday(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

/// Hours of some days: `mon-fri 06:30-09:30`, `sat-sun`, `hol 00:00-24:00`, `daily 22:00-04:30`. The last hour itself is
/// outside. A night's hours belong to the travel day that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    days: u8,
    from: u16,
    until: u16,
}

/// Text that names no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no hours: write days (mon-fri, sat, hol, daily), and hours like 06:30-09:30 unless all day")]
pub struct InvalidHours(pub String);

impl Hours {
    pub fn parse(text: &str) -> Result<Self, InvalidHours> {
        let invalid = || InvalidHours(text.to_owned());
        let (days, hours) = text.split_once(' ').map_or((text, None), |(days, hours)| (days, Some(hours)));
        let days = days_of(days).ok_or_else(invalid)?;
        let (from, until) = hours.map_or(Some((0, DAY_MINUTES)), hours_of).ok_or_else(invalid)?;
        Ok(Self { days, from, until })
    }

    /// The minutes of the day at which they begin and end.
    pub const fn bounds(&self) -> [u16; 2] {
        [self.from, self.until]
    }

    pub fn contain(&self, moment: Moment) -> bool {
        let Moment { kind, minute, .. } = moment;
        let within = if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        };
        self.days & kind != 0 && within
    }
}

fn days_of(text: &str) -> Option<u8> {
    let number = |name: &str| DAYS.iter().position(|day| *day == name);
    match (text, text.split_once('-')) {
        ("daily", _) => Some(u8::MAX),
        ("hol", _) => Some(HOLIDAY),
        (_, Some((first, last))) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| (first..=last).fold(0, |days, day| days | 1 << day))
        }
        (day, None) => number(day).map(|day| 1 << day),
    }
}

fn hours_of(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| match text {
        "24:00" => Some(DAY_MINUTES),
        text => time(text).map(|t| u16::from(t.hour().unsigned_abs()) * 60 + u16::from(t.minute().unsigned_abs())),
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from != until && from < DAY_MINUTES).then_some((from, until))
}

/// What caps and discounts count by; all begin and end with a travel day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Period {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the period that `day` is in.
    pub fn since(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let days = jiff::Span::new().days(i64::from(weekday(day.weekday())));
                day.checked_sub(days).unwrap_or(Date::MIN)
            }
            Self::Month => day.first_of_month(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        let holidays = BTreeSet::from(["2026-10-01".parse().unwrap()]);
        Calendar::new(TravelDays::new("+08:00", "04:30").unwrap(), holidays)
    }

    fn moment(text: &str) -> Moment {
        calendar().moment(calendar().days().at(text.parse().unwrap()))
    }

    #[test]
    fn hours_hold_on_their_days_from_the_first_minute_up_to_the_last() {
        for (hours, at, holds) in [
            ("mon-fri 06:30-09:30", "2026-11-27T06:30:00", true),
            ("mon-fri 06:30-09:30", "2026-11-27T06:29:59", false),
            ("mon-fri 06:30-09:30", "2026-11-27T09:29:59", true),
            ("mon-fri 06:30-09:30", "2026-11-27T09:30:00", false),
            ("mon-fri 06:30-09:30", "2026-11-28T07:00:00", false),
            ("sat-sun", "2026-11-28T07:00:00", true),
            // Thursday, and a holiday.
            ("mon-fri 06:30-09:30", "2026-10-01T07:00:00", false),
            ("hol", "2026-10-01T07:00:00", true),
            ("hol", "2026-10-02T07:00:00", false),
            ("daily", "2026-10-01T07:00:00", true),
            // The night belongs to the evening before.
            ("fri 22:00-04:30", "2026-11-28T01:00:00", true),
            ("sat 22:00-04:30", "2026-11-28T01:00:00", false),
            ("sat 00:00-24:00", "2026-11-29T01:00:00", true),
        ] {
            assert_eq!(Hours::parse(hours).unwrap().contain(moment(at)), holds, "{hours} {at}");
        }
    }

    #[test]
    fn what_names_no_hours_is_refused() {
        for wrong in
            ["", "mon-", "fri-mon", "monday", "mon 6:30-9:30", "mon 09:00", "mon 09:00-09:00", "mon 24:00-25:00"]
        {
            assert_eq!(Hours::parse(wrong), Err(InvalidHours(wrong.to_owned())));
        }
    }

    #[test]
    fn periods_begin_on_monday_and_on_the_first() {
        let day: Date = "2026-11-29".parse().unwrap();
        let since = |period: Period| period.since(day).to_string();
        assert_eq!(
            (since(Period::Day), since(Period::Week), since(Period::Month)),
            ("2026-11-29".into(), "2026-11-23".into(), "2026-11-01".into())
        );
    }
}
