//! Time as REST writes it.

use facegate_domain::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::{PartialSchema, openapi};

/// RFC 3339 in UTC with milliseconds, `2026-11-22T13:00:00.250Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let moment = jiff::Timestamp::from_millisecond(self.0.unix_ms()).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{moment:.3}"))
    }
}

impl PartialSchema for Moment {
    fn schema() -> openapi::RefOr<openapi::Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build().into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rfc_3339_with_milliseconds() {
        let written = |ms| serde_json::to_string(&Moment(Timestamp::from_unix_ms(ms))).unwrap();
        assert_eq!(written(1_795_352_400_250), "\"2026-11-22T13:00:00.250Z\"");
        assert_eq!(written(0), "\"1970-01-01T00:00:00.000Z\"");
    }
}
