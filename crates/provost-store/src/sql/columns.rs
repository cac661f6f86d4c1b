//! Values as columns hold them: written so that both databases take them, read with distrust.

use std::{str::FromStr, time::Duration};

use provost_types::Timestamp;
use sqlx::{Any, Decode, Row, Type, any::AnyRow};

use super::StoreError;

/// A time as a column holds it; later than the year 294,246 is that year.
pub(super) fn time(at: Timestamp) -> i64 {
    count(at.0)
}

/// A duration as a column holds it. Unit: microseconds.
pub(super) fn duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A position, size or count as a column holds it.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A free text as a column holds it: PostgreSQL keeps no NUL, and clients can send one.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// How a database likes its placeholders in a long list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// `$1`: the only form PostgreSQL knows. SQLite knows it too, but searches all names
    /// for each value: 2,816 of them took 60 % of the time to index events.
    Numbered,
    /// `?`
    Bare,
}

impl Placeholder {
    /// `($1, $2), ($3, $4)` or `(?, ?), (?, ?)`: `rows` rows of `width` values.
    pub(super) fn list(self, rows: usize, width: usize) -> String {
        let mut text = String::with_capacity(rows.saturating_mul(width).saturating_mul(7));
        let mut number = 0_usize;
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..width {
                text.push_str(if column == 0 { "" } else { ", " });
                number = number.saturating_add(1);
                match self {
                    Self::Numbered => text.push_str(&format!("${number}")),
                    Self::Bare => text.push('?'),
                }
            }
            text.push(')');
        }
        text
    }
}

/// One row, read by column name.
#[derive(Clone, Copy)]
pub(super) struct Columns<'r> {
    pub(super) table: &'static str,
    pub(super) row: &'r AnyRow,
}

impl<'r> Columns<'r> {
    /// The column's text.
    pub(super) fn text(self, column: &'static str) -> Result<&'r str, StoreError> {
        self.value(column)
    }

    /// The column's text, parsed.
    pub(super) fn parsed<T: FromStr>(self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.unreadable(column))
    }

    /// The column's text, parsed, unless it is null.
    pub(super) fn maybe_parsed<T: FromStr>(
        self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.value(column)?;
        text.map(str::parse).transpose().map_err(|_| self.unreadable(column))
    }

    /// The column's bytes.
    pub(super) fn bytes(self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.value(column)
    }

    /// The column's bytes, kept as hexadecimal text.
    pub(super) fn digest(self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(self.text(column)?, &mut digest)
            .map_err(|_| self.unreadable(column))?;
        Ok(digest)
    }

    /// The column's position, size or count.
    pub(super) fn count(self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.value::<i64>(column)?).map_err(|_| self.unreadable(column))
    }

    /// The column's time.
    pub(super) fn time(self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.count(column).map(Timestamp)
    }

    /// The column's time, unless it is null.
    pub(super) fn maybe_time(
        self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        match self.value::<Option<i64>>(column)? {
            Some(_) => self.time(column).map(Some),
            None => Ok(None),
        }
    }

    /// The column's duration.
    pub(super) fn duration(self, column: &'static str) -> Result<Duration, StoreError> {
        self.count(column).map(Duration::from_micros)
    }

    /// The column's value as the driver gives it.
    pub(super) fn value<T: Decode<'r, Any> + Type<Any>>(
        self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|_| self.unreadable(column))
    }

    /// The error that names `column`.
    pub(super) fn unreadable(self, column: &'static str) -> StoreError {
        StoreError::Unreadable { table: self.table, column }
    }
}

/// Reads every row with `read`.
pub(super) fn read_all<T>(
    table: &'static str,
    rows: &[AnyRow],
    read: impl Fn(Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(Columns { table, row })).collect()
}

#[cfg(test)]
mod tests {
    use super::Placeholder;

    #[test]
    fn placeholders_of_both_forms() {
        for (rows, width, numbered, bare) in [
            (0, 2, "", ""),
            (1, 1, "($1)", "(?)"),
            (2, 2, "($1, $2), ($3, $4)", "(?, ?), (?, ?)"),
        ] {
            assert_eq!(Placeholder::Numbered.list(rows, width), numbered);
            assert_eq!(Placeholder::Bare.list(rows, width), bare);
        }
    }
}
