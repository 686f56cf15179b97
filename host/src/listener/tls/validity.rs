//! Until when a certificate is valid: the one field of it that neither rustls nor webpki
//! gives away.

/// `notAfter` of a certificate in DER (RFC 5280, section 4.1), in seconds of Unix time.
/// `None` where it is not found.
pub fn not_after(certificate: &[u8]) -> Option<u64> {
    const SEQUENCE: u8 = 0x30;
    let (_, certificate, _) = element(certificate, Some(SEQUENCE))?;
    let (_, mut to_be_signed, _) = element(certificate, Some(SEQUENCE))?;
    // The version has a tag of its own and is left out where it is 1.
    let (tag, _, rest) = element(to_be_signed, None)?;
    if tag == 0xa0 {
        to_be_signed = rest;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        to_be_signed = element(to_be_signed, None)?.2;
    }
    let (_, validity, _) = element(to_be_signed, Some(SEQUENCE))?;
    let (_, _, rest) = element(validity, None)?;
    let (tag, time, _) = element(rest, None)?;
    let time = std::str::from_utf8(time).ok()?;
    match tag {
        // UTCTime, whose years are from 1950 to 2049.
        0x17 => {
            let (year, rest) = number(time, 2)?;
            seconds(if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        // GeneralizedTime.
        0x18 => {
            let (year, rest) = number(time, 4)?;
            seconds(year, rest)
        }
        _ => None,
    }
}

/// The first element of DER: its tag, its content, and what follows it. `None` if the tag
/// is another one than that.
fn element(der: &[u8], tag: Option<u8>) -> Option<(u8, &[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&short, mut rest) = rest.split_first()?;
    let mut length = usize::from(short);
    if short >= 0x80 {
        let (bytes, after) = rest.split_at_checked(usize::from(short & 0x7f))?;
        // No certificate has 4 GiB.
        if bytes.len() > 4 {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    (tag.is_none_or(|tag| tag == found)).then_some((found, content, after))
}

/// The number that so many digits make, and what follows them.
fn number(text: &str, digits: usize) -> Option<(u64, &str)> {
    let (digits, rest) = text.split_at_checked(digits)?;
    Some((digits.parse().ok()?, rest))
}

/// The time of a year and of `MMDDHHMMSSZ` after it.
fn seconds(year: u64, rest: &str) -> Option<u64> {
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, _) = number(rest, 2)?;
    // The year begins with March, so that the day that some years lack is its last
    // (https://howardhinnant.github.io/date_algorithms.html#days_from_civil).
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The day of a Unix time, as `2027-02-24`.
pub fn show(seconds: u64) -> String {
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_calendars_do() {
        for (text, expected, day) in [
            ("19700101000000Z", 0, "1970-01-01"),
            ("20000229120000Z", 951_825_600, "2000-02-29"),
            ("20261126135030Z", 1_795_701_030, "2026-11-26"),
            ("99991231235959Z", 253_402_300_799, "9999-12-31"),
        ] {
            let (year, rest) = number(text, 4).expect("a year");
            assert_eq!(seconds(year, rest), Some(expected), "{text}");
            assert_eq!(show(expected), day);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_time() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("names");
        for (year, expected) in [(2030, 1_893_456_000), (2060, 2_840_140_800)] {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&key).expect("a certificate");
            let der = certificate.der();
            assert_eq!(not_after(der), Some(expected));
            for cut in 0..der.len() {
                // Whatever is missing, it does not panic.
                let _ = not_after(&der[..cut]);
            }
            for at in 0..der.len().min(300) {
                let mut damaged = der.to_vec();
                damaged[at] ^= 0xff;
                let _ = not_after(&damaged);
            }
        }
    }
}
