//! Whole numbers in any form that JSON has for them. JSON has one kind of number (RFC 8259, section 6), and tools that
//! keep numbers as doubles write 5100 as `5100.0` or `5.1e3`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Every whole number below is exact as a double (RFC 8259, section 6).
const DOUBLES: f64 = (1_u64 << 53) as f64;

/// A whole number, from a format that may deliver it as a double.
pub(crate) struct Whole(pub(crate) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        let whole = u64::try_from(number).map(Whole);
        whole.map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        match (0.0..DOUBLES).contains(&number) && number.fract() == 0.0 {
            true => Ok(Whole(number as u64)),
            false => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

/// Reads the text of a JSON value exactly: as a double, a large nonce with a fraction could pass for a whole number.
/// Returns `None` unless it is a whole number that fits.
pub(super) fn whole(text: &str) -> Option<u64> {
    // Only a JSON number that is not negative starts with a digit.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let shift = exponent.parse::<i32>().ok()? as i64 - fraction.len() as i64;
    let digits = format!("{whole}{fraction}");
    match usize::try_from(shift) {
        Ok(zeros) => {
            let number: u64 = digits.parse().ok()?;
            let power = 10_u64.checked_pow(zeros.try_into().ok()?)?;
            number.checked_mul(power)
        }
        Err(_) => {
            let kept = digits.len().checked_sub(shift.unsigned_abs() as usize)?;
            let (kept, cut) = digits.split_at(kept);
            cut.bytes()
                .all(|digit| digit == b'0')
                .then(|| kept.parse().ok())?
        }
    }
}
