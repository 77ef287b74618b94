//! A request's method and path, copied inline: cloning a `Uri` may allocate, and `call` gives the request away.

use std::fmt;

use http::{Method, Uri};

const ROOM: usize = 62;

/// The methods of RFC 9110 and RFC 5789, which are stored by their place in here. The first stands for any other.
const STANDARD: [&str; 10] = [
    "", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "TRACE",
];
const LONGEST: usize = "OPTIONS".len();

fn standard(method: &Method) -> u8 {
    match *method {
        Method::GET => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::HEAD => 5,
        Method::OPTIONS => 6,
        Method::CONNECT => 7,
        Method::PATCH => 8,
        Method::TRACE => 9,
        _ => 0,
    }
}

/// Method and path, together cut to what fits; never the query. Aligned, so that it moves in few steps.
#[derive(Clone)]
#[repr(align(8))]
pub(crate) struct Name {
    /// The path, if the method is a standard one; or else the method, a space and the path.
    text: [u8; ROOM],
    len: u8,
    standard: u8,
}

impl Name {
    pub(crate) const NONE: Self = Self {
        text: [0; ROOM],
        len: 0,
        standard: 0,
    };

    /// Fills an empty name, in place: one that is returned is copied.
    #[inline(always)]
    pub(crate) fn set(&mut self, method: &Method, uri: &Uri) {
        let path = uri.path().as_bytes();
        let standard = standard(method);
        match self.text.get_mut(..path.len()) {
            Some(text) if standard != 0 && path.len() <= ROOM - LONGEST => {
                text.copy_from_slice(path);
                self.len = path.len() as u8;
                self.standard = standard;
            }
            _ => *self = Self::cut(standard, method, uri),
        }
    }

    #[cold]
    #[inline(never)]
    fn cut(standard: u8, method: &Method, uri: &Uri) -> Self {
        let (method, path) = (method.as_str(), uri.path());
        let mut name = Self {
            standard,
            ..Self::NONE
        };
        let room = match standard {
            0 => {
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

    fn parts(&self) -> (&str, &str) {
        let text = &self.text[..usize::from(self.len)];
        let text = std::str::from_utf8(text).unwrap_or_default();
        match self.standard {
            0 => text.split_once(' ').unwrap_or((text, "")),
            standard => (STANDARD[usize::from(standard)], text),
        }
    }

    /// `METHOD path` in as little memory as it takes, for a request that waits.
    pub(crate) fn keep(&self) -> Box<str> {
        let (method, path) = self.parts();
        [method, " ", path].concat().into_boxed_str()
    }
}

/// Method and path of a name that was kept.
pub(crate) fn method_and_path(kept: &str) -> (&str, &str) {
    kept.split_once(' ').unwrap_or((kept, ""))
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name")
            .field(&self.parts().0)
            .field(&self.parts().1)
            .finish()
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
        for method in STANDARD[1..].iter().chain(&["PROPFIND"]) {
            let parsed = Method::from_bytes(method.as_bytes()).unwrap();
            let name = name_of(&parsed, &Uri::from_static("/a"));
            assert_eq!(name.parts(), (*method, "/a"));
            assert_eq!(method_and_path(&name.keep()), name.parts());
        }
    }

    #[test]
    fn a_long_extension_method_leaves_no_room_and_breaks_nothing() {
        let method = Method::from_bytes("M".repeat(100).as_bytes()).unwrap();
        let name = name_of(&method, &Uri::from_static("/events"));
        assert_eq!((name.parts().0.len(), name.parts().1), (ROOM, ""));
    }
}
