//! The day that finance counts by. It begins at an hour when nobody rides, not at midnight: a journey at half past
//! midnight belongs to the evening before.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::clock::Timestamp;

/// Why a travel day cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TravelDayError {
    #[error(
        "`{0}` is neither a time zone that this machine knows (like Asia/Shanghai; install tzdata) nor an offset like +08:00"
    )]
    Zone(String),
    #[error("`{0}` is not a time of day like 04:30")]
    Time(String),
}

/// The operator's travel days: from `starts_at` in his zone to the same time of the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TravelDays {
    zone: TimeZone,
    starts_at: Time,
}

impl TravelDays {
    /// `zone` is an IANA name or an offset, `starts_at` is `HH:MM`.
    pub fn new(zone: &str, starts_at: &str) -> Result<Self, TravelDayError> {
        let known = offset(zone).map(TimeZone::fixed).or_else(|| TimeZone::get(zone).ok());
        let zone = known.ok_or_else(|| TravelDayError::Zone(zone.to_owned()))?;
        let starts_at = time(starts_at).ok_or_else(|| TravelDayError::Time(starts_at.to_owned()))?;
        Ok(Self { zone, starts_at })
    }

    /// The travel day of a moment. Moments that no calendar has belong to the first or last day there is.
    pub fn of(&self, at: Timestamp) -> Date {
        self.moment(at).0
    }

    /// The travel day of a moment, and the minute of the clock on the wall, from 0 at midnight.
    pub fn moment(&self, at: Timestamp) -> (Date, u16) {
        let Ok(moment) = jiff::Timestamp::from_millisecond(at.unix_ms()) else {
            return (if at.unix_ms() < 0 { Date::MIN } else { Date::MAX }, 0);
        };
        let local = self.zone.to_datetime(moment);
        let night = local.time() < self.starts_at;
        let day = if night { local.date().yesterday().unwrap_or(Date::MIN) } else { local.date() };
        (day, u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs()))
    }

    /// The moment of a time on the wall, for who writes fares and examples of them.
    pub fn at(&self, local: DateTime) -> Timestamp {
        let beyond = if local.year() < 0 { i64::MIN } else { i64::MAX };
        let moment = self.zone.to_timestamp(local);
        Timestamp::from_unix_ms(moment.map_or(beyond, jiff::Timestamp::as_millisecond))
    }

    /// The moment at which `day` is over.
    pub fn end(&self, day: Date) -> Timestamp {
        self.at(day.tomorrow().unwrap_or(Date::MAX).to_datetime(self.starts_at))
    }
}

fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "UTC" | "Z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let at = time(rest)?;
    Offset::from_seconds(sign * (i32::from(at.hour()) * 3600 + i32::from(at.minute()) * 60)).ok()
}

/// `HH:MM`, two digits each.
pub(crate) fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| (digits.len() == 2).then(|| digits.parse::<i8>().ok())?;
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn the_night_belongs_to_the_evening_before() {
        let days = TravelDays::new("+08:00", "04:30").unwrap();
        for (moment, day) in [
            ("2026-11-29T04:30:00+08:00", "2026-11-29"),
            ("2026-11-29T23:59:59+08:00", "2026-11-29"),
            ("2026-11-30T00:30:00+08:00", "2026-11-29"),
            ("2026-11-30T04:29:59.999+08:00", "2026-11-29"),
            ("2026-11-30T04:30:00+08:00", "2026-11-30"),
        ] {
            assert_eq!(days.of(at(moment)).to_string(), day, "{moment}");
        }
        assert_eq!(days.end("2026-11-29".parse().unwrap()), at("2026-11-30T04:30:00+08:00"));
    }

    #[test]
    fn the_ends_of_time_have_a_day_too() {
        let days = TravelDays::new("UTC", "04:30").unwrap();
        assert_eq!(days.of(Timestamp::from_unix_ms(i64::MIN)), Date::MIN);
        assert_eq!(days.of(Timestamp::from_unix_ms(i64::MAX)), Date::MAX);
        days.end(Date::MAX);
        let (first, last) = (Timestamp::from_unix_ms(i64::MIN), Timestamp::from_unix_ms(i64::MAX));
        let east = TravelDays::new("+08:00", "04:30").unwrap();
        assert!(east.end(Date::MIN) < at("2026-11-30T00:00:00Z") && east.end(Date::MIN) >= first);
        assert!(days.end(Date::MAX) > at("2026-11-30T00:00:00Z") && days.end(Date::MAX) <= last);
    }

    #[test]
    fn what_is_no_zone_and_no_time_is_named() {
        assert_eq!(TravelDays::new("Mars/Base", "04:30"), Err(TravelDayError::Zone("Mars/Base".into())));
        for wrong in ["4:30", "25:00", "", "04:30:00", "0430"] {
            assert_eq!(TravelDays::new("-03:30", wrong), Err(TravelDayError::Time(wrong.into())), "{wrong}");
        }
    }
}
