//! How header fields are read: by their grammar (RFC 9110), and each in one place.

use http::header::{HeaderMap, HeaderName, CONTENT_TYPE};

/// The value of `content-type`. Empty if there is none.
#[inline]
pub(crate) fn content_type(headers: &HeaderMap) -> &[u8] {
    // A constant would be built anew, and dropped, at every look-up.
    static NAME: HeaderName = CONTENT_TYPE;
    if headers.is_empty() {
        return &[];
    }
    headers
        .get(&NAME)
        .map_or(&[], |content_type| content_type.as_bytes())
}

/// A media type without its parameters (section 8.3.1), to be compared without case.
pub(crate) fn essence(media_type: &[u8]) -> &[u8] {
    let essence = media_type.split(|&byte| byte == b';').next();
    trimmed(essence.unwrap_or_default())
}

/// The [`essence`] of `content-type`.
#[cfg(any(feature = "stream", feature = "testing"))]
pub(crate) fn media_type(headers: &HeaderMap) -> &[u8] {
    essence(content_type(headers))
}

/// What follows `prefix`, which is compared without case.
#[inline]
pub(crate) fn after<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let start = value.get(..prefix.len())?;
    start
        .eq_ignore_ascii_case(prefix.as_bytes())
        .then(|| &value[prefix.len()..])
}

/// The elements of a field that is a list, over all lines that it has (sections 5.3 and 5.6.1).
pub(crate) fn list<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| parts(line.as_bytes(), b','))
}

/// Whether the content is encoded; `identity` is no encoding (section 8.4.1).
#[cfg(any(feature = "stream", feature = "testing"))]
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    list(headers, &http::header::CONTENT_ENCODING)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether `accept` names this media type, with a weight that is not zero (section 12.4.2). A range such as `*/*` names
/// none.
#[cfg(feature = "stream")]
pub(crate) fn accepts_by_name(headers: &HeaderMap, media_type: &str) -> bool {
    list(headers, &http::header::ACCEPT).any(|range| {
        let mut parts = parts(range, b';');
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(media_type.as_bytes()));
        is_named && !parts.any(is_weight_of_zero)
    })
}

#[cfg(feature = "stream")]
fn is_weight_of_zero(parameter: &[u8]) -> bool {
    match after(parameter, "q=") {
        Some([b'0', rest @ ..]) => rest.iter().all(|byte| b".0".contains(byte)),
        _ => false,
    }
}

/// The parts between separators; one inside of a quoted string separates nothing (section 5.6.4).
fn parts(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = value.split(move |&byte| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' => is_escaped = is_quoted,
            _ => {}
        }
        byte == separator && !is_quoted
    });
    parts.map(trimmed)
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(all(test, feature = "stream"))]
mod tests {
    use http::header::{HeaderValue, ACCEPT, CONTENT_ENCODING};

    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        for (value, read) in [
            ("text/html", "text/html"),
            ("text/html;charset=utf-8", "text/html"),
            ("Text/HTML ; charset=\"a;b\"", "Text/HTML"),
            ("", ""),
        ] {
            assert_eq!(
                media_type(&headers(CONTENT_TYPE, &[value])),
                read.as_bytes()
            );
        }
        assert_eq!(media_type(&HeaderMap::new()), b"");
    }

    #[test]
    fn identity_is_no_encoding_in_however_many_fields() {
        for values in [
            &["identity"][..],
            &["Identity"],
            &["identity, identity"],
            &["", "identity"],
            &[],
        ] {
            assert!(
                !is_encoded(&headers(CONTENT_ENCODING, values)),
                "{values:?}"
            );
        }
        for values in [
            &["gzip"][..],
            &["identity, br"],
            &["identity", "zstd"],
            &["identity2"],
        ] {
            assert!(is_encoded(&headers(CONTENT_ENCODING, values)), "{values:?}");
        }
    }

    #[test]
    fn a_media_type_is_accepted_by_its_name_and_a_weight() {
        let accepts = |values: &[&'static str]| {
            accepts_by_name(&headers(ACCEPT, values), "text/event-stream")
        };
        for values in [
            &["text/event-stream"][..],
            &["text/html, TEXT/Event-Stream ; Q=0.001"],
            &["text/html", "text/event-stream;q=1.000"],
            &["text/event-stream;charset=utf-8"],
            &["text/html;a=\"b, c\", text/event-stream"],
            &["*/*;q=0, text/event-stream"],
        ] {
            assert!(accepts(values), "{values:?}");
        }
        for values in [
            &["text/event-stream;q=0"][..],
            &["text/event-stream; Q=0.000"],
            &["text/event-stream;charset=utf-8;q=0.", "text/*"],
            &["text/event-streams"],
            &["text/html;a=\", text/event-stream\""],
            &["text/html;a=\"\\\", text/event-stream\""],
            &["text/*, */*"],
            &[],
        ] {
            assert!(!accepts(values), "{values:?}");
        }
    }
}
