//! A request's method and path, copied inline: cloning a `Uri` may allocate, and `call` gives the request away.

use std::fmt;

use http::{Method, Uri};

const ROOM: usize = 62;

/// A method of RFC 9110 or RFC 5789. As a type: the values it leaves free tell a name from what else may stand in its
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Standard {
    Other,
    Get,
    Post,
    Put,
    Delete,
    Head,
    Options,
    Connect,
    Patch,
    Trace,
}

const LONGEST: usize = "OPTIONS".len();

impl Standard {
    #[inline]
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::HEAD => Self::Head,
            Method::OPTIONS => Self::Options,
            Method::CONNECT => Self::Connect,
            Method::PATCH => Self::Patch,
            Method::TRACE => Self::Trace,
            _ => Self::Other,
        }
    }

    /// `None` for any other.
    fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Other => return None,
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Connect => "CONNECT",
            Self::Patch => "PATCH",
            Self::Trace => "TRACE",
        })
    }
}

/// Method and path, together cut to what fits; never the query. Aligned, so that it moves in few steps.
#[derive(Clone)]
#[repr(align(8))]
pub(crate) struct Name {
    /// The path, if the method is a standard one; or else the method, a space and the path.
    text: [u8; ROOM],
    len: u8,
    standard: Standard,
}

impl Name {
    pub(crate) const NONE: Self = Self {
        text: [0; ROOM],
        len: 0,
        standard: Standard::Other,
    };

    /// Fills an empty name, in place: one that is returned is copied.
    #[inline(always)]
    pub(crate) fn set(&mut self, method: &Method, uri: &Uri) {
        let path = uri.path().as_bytes();
        let standard = Standard::of(method);
        match self.text.get_mut(..path.len()) {
            Some(text) if standard != Standard::Other && path.len() <= ROOM - LONGEST => {
                text.copy_from_slice(path);
                self.len = path.len() as u8;
                self.standard = standard;
            }
            _ => *self = Self::cut(standard, method, uri),
        }
    }

    #[cold]
    #[inline(never)]
    fn cut(standard: Standard, method: &Method, uri: &Uri) -> Self {
        let (method, path) = (method.as_str(), uri.path());
        let mut name = Self {
            standard,
            ..Self::NONE
        };
        let room = match standard {
            Standard::Other => {
                name.push(method, ROOM);
                name.push(" ", ROOM);
                ROOM
            }
            _ => ROOM - method.len(),
        };
        match path.len() <= room - usize::from(name.len) {
            true => name.push(path, room),
            false => {
                name.push(path, room.saturating_sub("…".len()));
                name.push("…", room);
            }
        }
        name
    }

    /// As much of `text` as fits below `room`.
    fn push(&mut self, text: &str, room: usize) {
        let start = usize::from(self.len);
        let end = floor_char_boundary(text, room.saturating_sub(start));
        self.text[start..start + end].copy_from_slice(&text.as_bytes()[..end]);
        self.len += end as u8;
    }

    /// The method and the path.
    pub(crate) fn parts(&self) -> (&str, &str) {
        let text = &self.text[..usize::from(self.len)];
        let text = std::str::from_utf8(text).unwrap_or_default();
        match self.standard.as_str() {
            Some(method) => (method, text),
            None => text.split_once(' ').unwrap_or((text, "")),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, path) = self.parts();
        write!(f, "{method} {path}")
    }
}

fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(method: &Method, uri: &Uri) -> Name {
        let mut name = Name::NONE;
        name.set(method, uri);
        name
    }

    #[test]
    fn the_query_is_left_out_and_a_long_path_is_cut() {
        let name = name_of(&Method::GET, &Uri::from_static("/events?token=secret"));
        assert_eq!(name.parts(), ("GET", "/events"));

        let long = format!("/{}", "a".repeat(200));
        let name = name_of(&Method::DELETE, &long.parse().unwrap());
        let path = name.parts().1;
        assert!(path.ends_with("a…") && path.len() == ROOM - "DELETE".len());
    }

    #[test]
    fn a_path_that_just_fits_is_whole() {
        for (method, room) in [(Method::GET, 59), (Method::OPTIONS, 55)] {
            let whole = format!("/{}", "a".repeat(room - 1));
            let name = name_of(&method, &whole.parse().unwrap());
            assert_eq!(name.parts(), (method.as_str(), &*whole));
        }
    }

    #[test]
    fn every_standard_method_and_any_other_keeps_its_name() {
        let standard = [
            "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "TRACE",
        ];
        for method in standard.iter().chain(&["PROPFIND"]) {
            let parsed = Method::from_bytes(method.as_bytes()).unwrap();
            let name = name_of(&parsed, &Uri::from_static("/a"));
            assert_eq!(name.parts(), (*method, "/a"));
        }
    }

    #[test]
    fn a_long_extension_method_leaves_no_room_and_breaks_nothing() {
        let method = Method::from_bytes("M".repeat(100).as_bytes()).unwrap();
        let name = name_of(&method, &Uri::from_static("/events"));
        assert_eq!((name.parts().0.len(), name.parts().1), (ROOM, ""));
    }
}
